// The tensors of attention backward, row by row.
#pragma once
#include "attention_tiles.h"

// All contiguous: out, dout, dq [query tokens, heads, headDim], lse [query tokens, heads], dk, dv [key tokens, kvHeads,
// headDim].
typedef struct {
  const real *out, *dout;
  const float *lse;
  real *dq, *dk, *dv;
} Gradients;

static inline const real *dout_row(const Attention *a, const Gradients *g, const Stretch *s, int64_t row) {
  return g->dout + query_index(a, s, row) * a->headDim;
}

// lse in units of log2; +∞ for a row that sees no key, which makes its weights 0.
static inline float row_log2_sum(const Attention *a, const Gradients *g, const Stretch *s, int64_t row) {
  const float lse = g->lse[query_index(a, s, row)];
  return lse == -INFINITY ? INFINITY : lse * 1.44269504088896341f;
}

// D = Σ_d dO_d·O_d.
static float row_delta(const Attention *a, const Gradients *g, const Stretch *s, int64_t row) {
  const real *out = g->out + query_index(a, s, row) * a->headDim, *dout = dout_row(a, g, s, row);
  vf products = {0};
  for (int64_t d = 0; d < a->width; d += LANES)
    products += load_vector(out + d, a->headDim - d) * load_vector(dout + d, a->headDim - d);
  float sum = 0.0f;
  for (int l = 0; l < LANES; l++) sum += products[l];
  return sum;
}

static inline void store_row(const Attention *a, const float *from, float factor, real *to) {
  for (int64_t d = 0; d < a->headDim; d++) store(to + d, from[d] * factor);
}

// dk and dv: [KEY_TILE, width], for the keys of the tile.
static void store_keys(const Attention *a, const Gradients *g, const Stretch *s, int64_t tile, const float *dk,
                       float dkFactor, const float *dv) {
  for (int64_t j = 0; j < at_most(KEY_TILE, s->keys - tile); j++) {
    const int64_t index = ((s->firstKey + tile + j) * a->kvHeads + s->kvHead) * a->headDim;
    store_row(a, dk + j * a->width, dkFactor, g->dk + index);
    store_row(a, dv + j * a->width, 1.0f, g->dv + index);
  }
}
