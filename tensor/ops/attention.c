// Scaled dot-product attention, forward: O = softmax(scale·Q Kᵀ + mask) V, without storing the scores.
//
// Online softmax (Milakov & Gimelshein 2018; Dao et al., FlashAttention, 2022). A row keeps its running maximum m, the
// sum l and the unnormalised output o. A tile of scores s, already multiplied by scale·log2 e, updates them by
//
//   m' = max(m, max s)      p = 2^(s - m')      l' = 2^(m - m')·l + Σ p      o' = 2^(m - m')·o + p·V
//
// and after the last tile O = o / l and the log-sum-exp is m·ln 2 + ln l.
//
// A block of ROW_BLOCK rows walks over the key tiles it sees. Each tile is packed once per block as f32, K transposed;
// then ROW_GROUP rows at a time go through scores, softmax and values while their tile of scores is in the first cache.
// A row never sees its neighbours: its scores, its rescalings and the order of its sums are its own.
#include "attention_one.h"
#include "attention_softmax.h"
#include "attention_tiles.h"
#if defined(REAL_BF16) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define HAS_AMX
#include "attention_amx_forward.h"
#endif

// One thread's tiles.
typedef struct {
  float *q;      // [ROW_BLOCK, width], multiplied by scale·log2 e
  float *k;      // [headDim, KEY_TILE]
  float *v;      // [KEY_TILE, width]
  float *scores; // [ROW_GROUP, KEY_TILE]
} Tiles;

static size_t tiles_bytes(const Attention *a) {
  return sizeof(float) * (size_t)((ROW_BLOCK + 2 * KEY_TILE) * a->width + ROW_GROUP * KEY_TILE);
}

// o += p·V for one row and keys [from, to) of the tile, or for `rows` rows that all see them.
static void add_values(const Attention *a, const Tiles *t, int64_t row, int64_t rows, int64_t from, int64_t to,
                       float *o) {
  multiply_add(rows, a->width, to - from, (Matrix){t->scores + row * KEY_TILE + from, KEY_TILE, 1},
               t->v + from * a->width, a->width, o + row * a->width, a->width);
}

// The keys that all rows see go together; those that only some see go row by row, because a weight of 0 does not hide a
// value that is not finite.
static void add_visible_values(const Attention *a, const Tiles *t, int64_t rows, const Range *keys, float *o) {
  const int64_t from = keys[rows - 1].from, to = at_least(from, keys[0].to);
  if (keys[0].from < from)
    for (int64_t r = 0; r < rows; r++) add_values(a, t, r, 1, keys[r].from, at_most(from, keys[r].to), o);
  add_values(a, t, 0, rows, from, at_most(to, keys[0].to), o);
  if (keys[rows - 1].to > to)
    for (int64_t r = 0; r < rows; r++) add_values(a, t, r, 1, at_least(to, keys[r].from), keys[r].to, o);
}

// Rows [row, row + rows) of the block against the packed tile.
static void attend_tile(const Attention *a, const Tiles *t, const Rows *block, int64_t row, int64_t rows,
                        int64_t tile) {
  Range keys[ROW_GROUP];
  for (int64_t r = 0; r < rows; r++) keys[r] = within_tile(block->visible[row + r], tile);
  const int64_t first = keys[0].from / LANES * LANES, last = (keys[rows - 1].to + LANES - 1) / LANES * LANES;
  if (first >= last) return;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = first; j < last; j += LANES) *(vf *)(t->scores + r * KEY_TILE + j) = (vf){0};
  multiply_add(rows, last - first, a->headDim, (Matrix){t->q + row * a->width, a->width, 1}, t->k + first, KEY_TILE,
               t->scores + first, KEY_TILE);
  for (int64_t r = 0; r < rows; r++)
    if (keys[r].from < keys[r].to) softmax_row(a, block, row + r, keys[r], t->scores + r * KEY_TILE);
  add_visible_values(a, t, rows, keys, block->o + row * a->width);
}

// The rows of one block, from the first to the last key tile that they see.
static void attend_block(const Attention *a, const Stretch *s, int64_t blockStart, int64_t rows, float *scratch,
                         real *out, float *lse) {
  const float log2e = 1.44269504088896341f;
  Tiles t = {.q = scratch};
  t.k = t.q + ROW_BLOCK * a->width;
  t.v = t.k + KEY_TILE * a->width;
  t.scores = t.v + KEY_TILE * a->width;
  const Rows block = begin_rows(a, s, blockStart, rows, t.scores + ROW_GROUP * KEY_TILE);
  for (int64_t r = 0; r < rows; r++)
    pack_row(a, query_row(a, s, blockStart + r), a->scale * log2e, t.q + r * a->width);
  for (int64_t tile = block.visible[0].from / KEY_TILE * KEY_TILE; tile < block.visible[rows - 1].to;
       tile += KEY_TILE) {
    if (s->queries == 1 && rows <= FEW_HEADS) {
      attend_tile_in_place(a, s, &block, rows, tile, t.q, t.scores);
      continue;
    }
    pack_keys_transposed(a, s, a->k, tile, t.k);
    pack_keys(a, s, a->v, tile, t.v);
    for (int64_t row = 0; row < rows; row += ROW_GROUP)
      attend_tile(a, &t, &block, row, at_most(ROW_GROUP, rows - row), tile);
  }
  finish_rows(a, s, &block, blockStart, rows, out, lse);
}

// Blocks are numbered so that sequence s begins at ⌊rows before it / ROW_BLOCK⌋ + s: room enough for all its blocks,
// without a table; a number at the end of a sequence may be left empty.
static int64_t first_block(const Attention *a, int64_t sequence) {
  return a->queryOffsets[sequence] * a->group / ROW_BLOCK + sequence;
}

static int64_t sequence_of_block(const Attention *a, int64_t block) {
  int64_t low = 0, high = a->sequences;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (first_block(a, middle) <= block) low = middle;
    else high = middle;
  }
  return low;
}

// What threads have in common.
typedef struct {
  const Attention *attention;
  real *out;
  float *lse; // [query tokens, heads]
  int amx;
} Task;

static size_t task_bytes(const Task *t) {
  size_t bytes = tiles_bytes(t->attention);
#ifdef HAS_AMX
  if (t->amx) bytes = amx_tiles_bytes(t->attention);
#endif
  return bytes + rows_bytes(t->attention);
}

// Rows from `blockStart` on of a sequence under one kv head; none without memory.
static void attend_rows(const Task *t, const Stretch *s, int64_t blockStart, float *scratch) {
  const Attention *a = t->attention;
  const int64_t rows = at_most(ROW_BLOCK, s->queries * a->group - blockStart);
  if (!scratch || rows <= 0) return;
#ifdef HAS_AMX
  if (t->amx) {
    amx_attend_block(a, s, blockStart, rows, scratch, t->out, t->lse);
    return;
  }
#endif
  attend_block(a, s, blockStart, rows, scratch, t->out, t->lse);
}

// From the last block to the first: under a causal mask the last ones are the longest.
static void attend_blocks(const Task *t, float *scratch) {
  const Attention *a = t->attention;
#pragma omp for schedule(dynamic, 1)
  for (int64_t item = first_block(a, a->sequences) * a->kvHeads - 1; item >= 0; item--) {
    const int64_t block = item / a->kvHeads, sequence = sequence_of_block(a, block);
    const Stretch s = stretch_of(a, sequence, item % a->kvHeads);
    attend_rows(t, &s, (block - first_block(a, sequence)) * ROW_BLOCK, scratch);
  }
}

// For sequences of one query each, whose time goes into reading keys and values. A thread takes all heads of one, which lie
// side by side, and meanwhile asks for those of its next one.
static void attend_sequences(const Task *t, float *scratch, int64_t *taken) {
  const Attention *a = t->attention;
  for (int64_t sequence = take(taken), next; sequence < a->sequences; sequence = next) {
    next = take(taken);
    Ahead ahead = {a, next};
    for (int64_t kvHead = 0; kvHead < a->kvHeads; kvHead++) {
      Stretch s = stretch_of(a, sequence, kvHead);
      if (next < a->sequences) s.ahead = &ahead;
      for (int64_t row = 0; row < s.queries * a->group; row += ROW_BLOCK) attend_rows(t, &s, row, scratch);
    }
  }
}

// slots: q, k, v, out, lse, then those of attention_of.
KERNEL(attention) {
  const Attention a = attention_of(args, 5);
  if (!sequences_fit(&a, INTEGER(21), INTEGER(22), 0)) return INDEX_OUT_OF_RANGE;
  if (a.sequences <= 0 || a.heads <= 0) return OK;
  Task task = {&a, POINTER(real, 3), POINTER(float, 4), 0};
#ifdef HAS_AMX
  task.amx = tiles_granted();
#endif
  const int decodes = a.queryOffsets[a.sequences] == a.sequences && a.sequences >= 4 * omp_get_max_threads();
  int64_t taken = 0;
  int32_t status = OK;
#pragma omp parallel if (attention_products(&a) > PARALLEL_WORK)
  {
    float *scratch = thread_scratch(task_bytes(&task) / sizeof(float));
    if (!scratch) {
#pragma omp atomic write
      status = OUT_OF_MEMORY;
    }
    if (decodes) attend_sequences(&task, scratch, &taken);
    else attend_blocks(&task, scratch);
  }
  return status;
}
