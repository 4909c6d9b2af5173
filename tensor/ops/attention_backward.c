// Scaled dot-product attention, backward: the scores are computed again, tile by tile, from q, k and the saved
// log-sum-exp (Dao et al., FlashAttention, 2022, appendix B). With P the weights and D_i = Σ_d dO_id·O_id,
//
//   P  = 2^(scale·log2 e·Q Kᵀ - lse·log2 e)      dV = Pᵀ dO      dP = dO Vᵀ      dS = P∘(dP - D)
//   dQ = scale·dS K                              dK = scale·dSᵀ Q
//
// Factors of 0 do not hide values that are not finite: a NaN may reach the gradients of the keys beside it in a tile.
//
// One thread owns all rows of a sequence under one kv head: for every key tile, in order, it walks over the blocks of
// ROW_BLOCK rows that see the tile. So dK and dV of a tile stay in the cache, dQ is swept once per tile, and every sum
// runs in the order of its rows or keys, whatever the threads and the other sequences do.
#include "attention_gradients.h"
#if defined(REAL_BF16) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define HAS_AMX
#include "attention_amx_backward.h"
#endif

enum { ROW_BLOCK = 48 };

// One thread's buffers. Those over `rows` hold every row of the sequence.
typedef struct {
  float *q;          // [rows, width], multiplied by scale·log2 e
  float *dout;       // [rows, width]
  float *dq;         // [rows, width], to be multiplied by scale
  float *lse;        // [rows], in units of log2; +∞ for a row that sees no key, which makes its weights 0
  float *delta;      // [rows]: D
  float *k;          // [KEY_TILE, width]
  float *kTransposed; // [headDim, KEY_TILE]
  float *vTransposed; // [headDim, KEY_TILE]
  float *dk;         // [KEY_TILE, width], to be multiplied by ln 2
  float *dv;         // [KEY_TILE, width]
  float *p;          // [ROW_BLOCK, KEY_TILE]
  float *ds;         // [ROW_BLOCK, KEY_TILE]
} Tiles;

static Tiles tiles_for(const Attention *a, int64_t rows) {
  const int64_t aligned = (rows + LANES - 1) / LANES * LANES;
  const int64_t tile = KEY_TILE * a->width, scores = ROW_BLOCK * KEY_TILE;
  float *next = thread_scratch((size_t)(3 * rows * a->width + 2 * aligned + 5 * tile + 2 * scores));
  Tiles t = {0};
  if (!next) return t;
  t.q = next, next += rows * a->width;
  t.dout = next, next += rows * a->width;
  t.dq = next, next += rows * a->width;
  t.lse = next, next += aligned;
  t.delta = next, next += aligned;
  t.k = next, next += tile;
  t.kTransposed = next, next += tile;
  t.vTransposed = next, next += tile;
  t.dk = next, next += tile;
  t.dv = next, next += tile;
  t.p = next, next += scores;
  t.ds = next;
  return t;
}

static void begin_rows(const Attention *a, const Gradients *g, const Stretch *s, const Tiles *t, int64_t rows) {
  const float log2e = 1.44269504088896341f;
  for (int64_t r = 0; r < rows; r++) {
    pack_row(a, query_row(a, s, r), a->scale * log2e, t->q + r * a->width);
    pack_row(a, dout_row(a, g, s, r), 1.0f, t->dout + r * a->width);
    t->lse[r] = row_log2_sum(a, g, s, r);
    t->delta[r] = row_delta(a, g, s, r);
  }
  memset(t->dq, 0, sizeof(float) * (size_t)(rows * a->width));
}

// Scores and dP of one row become P and dS; both are 0 for the keys that it does not see.
static void differentiate_row(Range keys, int64_t first, int64_t last, float lse, float delta, float *p, float *ds) {
  for (int64_t j = first; j < last; j += LANES)
    for (int l = 0; l < LANES; l++) {
      p[j + l] = exp2_f32(p[j + l] - lse);
      ds[j + l] = p[j + l] * (ds[j + l] - delta);
    }
  for (int64_t j = first; j < at_most(last, keys.from); j++) p[j] = ds[j] = 0.0f;
  for (int64_t j = at_least(first, keys.to); j < last; j++) p[j] = ds[j] = 0.0f;
}

// Rows [row, row + rows) against the packed key tile.
static void differentiate_block(const Attention *a, const Stretch *s, const Tiles *t, int64_t row, int64_t rows,
                                int64_t tile) {
  const Range firstKeys = within_tile(visible_keys(a, s, row), tile);
  const Range lastKeys = within_tile(visible_keys(a, s, row + rows - 1), tile);
  const int64_t first = firstKeys.from / LANES * LANES, last = (lastKeys.to + LANES - 1) / LANES * LANES;
  if (first >= last) return;
  const int64_t width = a->width, keys = last - first;
  const float *q = t->q + row * width, *dout = t->dout + row * width;
  memset(t->p, 0, sizeof(float) * ROW_BLOCK * KEY_TILE);
  memset(t->ds, 0, sizeof(float) * ROW_BLOCK * KEY_TILE);
  multiply_add(rows, keys, a->headDim, (Matrix){q, width, 1}, t->kTransposed + first, KEY_TILE, t->p + first, KEY_TILE);
  multiply_add(rows, keys, a->headDim, (Matrix){dout, width, 1}, t->vTransposed + first, KEY_TILE, t->ds + first,
               KEY_TILE);
  for (int64_t r = 0; r < rows; r++)
    differentiate_row(within_tile(visible_keys(a, s, row + r), tile), first, last, t->lse[row + r], t->delta[row + r],
                      t->p + r * KEY_TILE, t->ds + r * KEY_TILE);
  multiply_add(keys, width, rows, (Matrix){t->p + first, 1, KEY_TILE}, dout, width, t->dv + first * width, width);
  multiply_add(keys, width, rows, (Matrix){t->ds + first, 1, KEY_TILE}, q, width, t->dk + first * width, width);
  multiply_add(rows, width, keys, (Matrix){t->ds + first, KEY_TILE, 1}, t->k + first * width, width,
               t->dq + row * width, width);
}

// One key tile of the sequence: dk and dv are complete afterwards, dq has its share.
static void differentiate_tile(const Attention *a, const Gradients *g, const Stretch *s, const Tiles *t, int64_t rows,
                               int64_t tile) {
  const float ln2 = 0.693147180559945309f;
  pack_keys(a, s, a->k, tile, t->k);
  pack_keys_transposed(a, s, a->k, tile, t->kTransposed);
  pack_keys_transposed(a, s, a->v, tile, t->vTransposed);
  memset(t->dk, 0, sizeof(float) * (size_t)(KEY_TILE * a->width));
  memset(t->dv, 0, sizeof(float) * (size_t)(KEY_TILE * a->width));
  for (int64_t row = 0; row < rows; row += ROW_BLOCK)
    differentiate_block(a, s, t, row, at_most(ROW_BLOCK, rows - row), tile);
  store_keys(a, g, s, tile, t->dk, ln2, t->dv);
}

static int32_t differentiate_stretch(const Attention *a, const Gradients *g, const Stretch *s) {
  const int64_t rows = s->queries * a->group;
  const Tiles t = tiles_for(a, rows);
  if (!t.q) return OUT_OF_MEMORY;
  begin_rows(a, g, s, &t, rows);
  for (int64_t tile = 0; tile < s->keys; tile += KEY_TILE) differentiate_tile(a, g, s, &t, rows, tile);
  for (int64_t r = 0; r < rows; r++)
    store_row(a, t.dq + r * a->width, a->scale, g->dq + query_index(a, s, r) * a->headDim);
  return OK;
}

// slots: q, k, v, out, lse, dout, dq, dk, dv, then those of attention_of.
KERNEL(attention_backward) {
  const Attention a = attention_of(args, 9);
  const Gradients g = {POINTER(const real, 3), POINTER(const real, 5), POINTER(const float, 4),
                       POINTER(real, 6),       POINTER(real, 7),       POINTER(real, 8)};
  if (!sequences_fit(&a, INTEGER(25), INTEGER(26), 1)) return INDEX_OUT_OF_RANGE;
  // Tokens outside every sequence have no gradient.
  memset(g.dq, 0, sizeof(real) * (size_t)(INTEGER(25) * a.heads * a.headDim));
  memset(g.dk, 0, sizeof(real) * (size_t)(INTEGER(26) * a.kvHeads * a.headDim));
  memset(g.dv, 0, sizeof(real) * (size_t)(INTEGER(26) * a.kvHeads * a.headDim));
  int32_t status = OK;
#pragma omp parallel for schedule(dynamic, 1) if (attention_products(&a) > PARALLEL_WORK)
  for (int64_t item = 0; item < a.sequences * a.kvHeads; item++) {
    const Stretch s = stretch_of(&a, item / a.kvHeads, item % a.kvHeads);
    int32_t (*differentiate)(const Attention *, const Gradients *, const Stretch *) = differentiate_stretch;
#ifdef HAS_AMX
    if (tiles_granted()) differentiate = amx_differentiate_stretch;
#endif
    if (differentiate(&a, &g, &s) != OK) {
#pragma omp atomic write
      status = OUT_OF_MEMORY;
    }
  }
  return status;
}
