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
#include "attention.h"

enum { ROW_BLOCK = 384 };

// One thread's tiles.
typedef struct {
  float *q;      // [ROW_BLOCK, width], multiplied by scale·log2 e
  float *o;      // [ROW_BLOCK, width]
  float *k;      // [headDim, KEY_TILE]
  float *v;      // [KEY_TILE, width]
  float *scores; // [ROW_GROUP, KEY_TILE]
  float *sums;   // [ROW_BLOCK, LANES]: l, one partial sum per lane
  float *maxima; // [ROW_BLOCK]
  Range *visible; // [ROW_BLOCK]
} Tiles;

static size_t tiles_floats(const Attention *a) {
  return (size_t)(2 * ROW_BLOCK * a->width + 2 * KEY_TILE * a->width + ROW_GROUP * KEY_TILE + ROW_BLOCK * LANES +
                  ROW_BLOCK) + ROW_BLOCK * sizeof(Range) / sizeof(float);
}

static Tiles tiles_in(const Attention *a, float *scratch) {
  Tiles t;
  t.q = scratch;
  t.o = t.q + ROW_BLOCK * a->width;
  t.k = t.o + ROW_BLOCK * a->width;
  t.v = t.k + KEY_TILE * a->width;
  t.scores = t.v + KEY_TILE * a->width;
  t.sums = t.scores + ROW_GROUP * KEY_TILE;
  t.maxima = t.sums + ROW_BLOCK * LANES;
  t.visible = (Range *)(t.maxima + ROW_BLOCK);
  return t;
}

// Floats compare like their bits read as integers, once the lower bits of the negative ones are flipped; the compiler
// reduces integers over lanes with vectors, floats it does not.
static float largest(const float *scores, int64_t count) {
  vf lanes = *(const vf *)scores;
  for (int64_t j = LANES; j < count; j += LANES) {
    const vf next = *(const vf *)(scores + j);
    const vi larger = next > lanes;
    lanes = (vf)((larger & (vi)next) | (~larger & (vi)lanes));
  }
  int32_t bits[LANES], top = INT32_MIN;
  memcpy(bits, &lanes, sizeof bits);
#pragma omp simd reduction(max : top)
  for (int l = 0; l < LANES; l++) {
    const int32_t ordered = bits[l] ^ ((bits[l] >> 31) & 0x7fffffff);
    top = ordered > top ? ordered : top;
  }
  return float_bits((uint32_t)(top ^ ((top >> 31) & 0x7fffffff)));
}

// Turns one row's scores of a tile into weights p, and moves m, l and o along. Only whole vectors that hold a visible
// key are touched.
static void softmax_row(const Attention *a, Range keys, float *scores, float *maximum, float *sums, float *o) {
  const int64_t first = keys.from / LANES * LANES, last = (keys.to + LANES - 1) / LANES * LANES;
  for (int64_t j = first; j < keys.from; j++) scores[j] = -INFINITY;
  for (int64_t j = keys.to; j < last; j++) scores[j] = -INFINITY;
  const float top = largest(scores + first, last - first);
  if (top > *maximum) {
    const float factor = exp2_f32(*maximum - top);
    *(vf *)sums *= factor;
    for (int64_t d = 0; d < a->width; d += LANES) *(vf *)(o + d) *= factor;
    *maximum = top;
  }
  const float shift = *maximum == -INFINITY ? 0.0f : *maximum; // -∞ - -∞ would be NaN
  vf sum = *(vf *)sums;
  for (int64_t j = first; j < last; j += LANES) {
    for (int l = 0; l < LANES; l++) scores[j + l] = exp2_f32(scores[j + l] - shift);
    sum += *(vf *)(scores + j);
  }
  *(vf *)sums = sum;
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
static void attend_tile(const Attention *a, const Tiles *t, int64_t row, int64_t rows, int64_t tile) {
  Range keys[ROW_GROUP];
  for (int64_t r = 0; r < rows; r++) keys[r] = within_tile(t->visible[row + r], tile);
  const int64_t first = keys[0].from / LANES * LANES, last = (keys[rows - 1].to + LANES - 1) / LANES * LANES;
  if (first >= last) return;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = first; j < last; j += LANES) *(vf *)(t->scores + r * KEY_TILE + j) = (vf){0};
  multiply_add(rows, last - first, a->headDim, (Matrix){t->q + row * a->width, a->width, 1}, t->k + first, KEY_TILE,
               t->scores + first, KEY_TILE);
  for (int64_t r = 0; r < rows; r++)
    if (keys[r].from < keys[r].to)
      softmax_row(a, keys[r], t->scores + r * KEY_TILE, t->maxima + row + r, t->sums + (row + r) * LANES,
                  t->o + (row + r) * a->width);
  add_visible_values(a, t, rows, keys, t->o + row * a->width);
}

static void begin_rows(const Attention *a, const Stretch *s, const Tiles *t, int64_t blockStart, int64_t rows) {
  const float log2e = 1.44269504088896341f;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t token = query_token(a, s, blockStart + r), head = query_head(a, s, blockStart + r);
    pack_row(a, a->q.data + token * a->q.token + head * a->q.head, a->scale * log2e, t->q + r * a->width);
    t->maxima[r] = -INFINITY;
    t->visible[r] = visible_keys(a, s, blockStart + r);
  }
  memset(t->o, 0, sizeof(float) * (size_t)(rows * a->width));
  memset(t->sums, 0, sizeof(float) * (size_t)(rows * LANES));
}

static void finish_rows(const Attention *a, const Stretch *s, const Tiles *t, int64_t blockStart, int64_t rows,
                        real *out, float *lse) {
  const float ln2 = 0.693147180559945309f;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t index = query_token(a, s, blockStart + r) * a->heads + query_head(a, s, blockStart + r);
    float sum = 0.0f;
    for (int l = 0; l < LANES; l++) sum += t->sums[r * LANES + l];
    const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum; // a row that sees no key gives zeros
    for (int64_t d = 0; d < a->headDim; d++) store(out + index * a->headDim + d, t->o[r * a->width + d] * inverse);
    lse[index] = sum == 0.0f ? -INFINITY : t->maxima[r] * ln2 + log_f32(sum);
  }
}

static void attend_block(const Attention *a, const Stretch *s, int64_t blockStart, float *scratch, real *out,
                         float *lse) {
  const Tiles t = tiles_in(a, scratch);
  const int64_t rows = at_most(ROW_BLOCK, s->queries * a->group - blockStart);
  begin_rows(a, s, &t, blockStart, rows);
  const int64_t from = t.visible[0].from, to = t.visible[rows - 1].to;
  for (int64_t tile = from / KEY_TILE * KEY_TILE; tile < to; tile += KEY_TILE) {
    pack_keys_transposed(a, s, a->k, tile, t.k);
    pack_keys(a, s, a->v, tile, t.v);
    for (int64_t row = 0; row < rows; row += ROW_GROUP)
      attend_tile(a, &t, row, at_most(ROW_GROUP, rows - row), tile);
  }
  finish_rows(a, s, &t, blockStart, rows, out, lse);
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

// slots: q, k, v, out, lse: f32 [query tokens, heads], those of attention_of, then the numbers of query and key tokens.
KERNEL(attention) {
  const Attention a = attention_of(args, 5);
  real *out = POINTER(real, 3);
  float *lse = POINTER(float, 4);
  if (!sequences_fit(&a, INTEGER(21), INTEGER(22), 0)) return INDEX_OUT_OF_RANGE;
  if (a.sequences <= 0 || a.heads <= 0) return OK;
  const int64_t items = first_block(&a, a.sequences) * a.kvHeads;
  int32_t status = OK;
#pragma omp parallel if (attention_products(&a) > PARALLEL_WORK)
  {
    float *scratch = thread_scratch(tiles_floats(&a));
    if (!scratch) {
#pragma omp atomic write
      status = OUT_OF_MEMORY;
    }
    // From the last block to the first: under a causal mask the last ones are the longest.
#pragma omp for schedule(dynamic, 1)
    for (int64_t item = items - 1; item >= 0; item--) {
      const int64_t block = item / a.kvHeads, sequence = sequence_of_block(&a, block);
      const Stretch s = stretch_of(&a, sequence, item % a.kvHeads);
      const int64_t blockStart = (block - first_block(&a, sequence)) * ROW_BLOCK;
      if (scratch && blockStart < s.queries * a.group) attend_block(&a, &s, blockStart, scratch, out, lse);
    }
  }
  return status;
}
