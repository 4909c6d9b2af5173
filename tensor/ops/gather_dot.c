// Products of rows of hidden states with a few chosen rows of a weight: K logits for each token, out of the whole
// vocabulary.
#include "rows.h"

// out[t, k] = hidden[t]·weight[indices[t, k]].
// Slots: 0 out (f32 [tokens, choices]), 1 hidden [tokens, dim], 2 weight [vocab, dim], 3 indices [tokens, choices],
// 4 tokens, 5 choices, 6 dim, 7 vocab.
KERNEL(gather_dot) {
  float *out = POINTER(float, 0);
  const real *hidden = POINTER(const real, 1), *weight = POINTER(const real, 2);
  const int32_t *indices = POINTER(const int32_t, 3);
  const int64_t tokens = INTEGER(4), choices = INTEGER(5), dim = INTEGER(6), vocab = INTEGER(7);
  for (int64_t i = 0; i < tokens * choices; i++)
    if (indices[i] < 0 || indices[i] >= vocab) return INDEX_OUT_OF_RANGE;
#pragma omp parallel for if (tokens * choices * dim > PARALLEL_WORK)
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t k = t * choices; k < (t + 1) * choices; k++) {
      const real *x = hidden + t * dim, *row = weight + indices[k] * dim;
      SUM_OVER_ROW(out[k], dim, load(x + i) * load(row + i))
    }
  return OK;
}

// dhidden[t] = Σ over k of g[t, k]·weight[indices[t, k]].
// Slots: 0 dhidden, 1 g (f32), 2 weight, 3 indices, 4 tokens, 5 choices, 6 dim.
KERNEL(gather_dot_hidden) {
  real *dhidden = POINTER(real, 0);
  const float *g = POINTER(const float, 1);
  const real *weight = POINTER(const real, 2);
  const int32_t *indices = POINTER(const int32_t, 3);
  const int64_t tokens = INTEGER(4), choices = INTEGER(5), dim = INTEGER(6);
  enum { WIDTH = 512 };
#pragma omp parallel for if (tokens * choices * dim > PARALLEL_WORK)
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t start = 0; start < dim; start += WIDTH) {
      const int64_t n = dim - start < WIDTH ? dim - start : WIDTH;
      float sum[WIDTH] = {0};
      for (int64_t k = t * choices; k < (t + 1) * choices; k++) {
        const real *row = weight + indices[k] * dim + start;
        for (int64_t i = 0; i < n; i++) sum[i] += g[k] * load(row + i);
      }
      for (int64_t i = 0; i < n; i++) store(dhidden + t * dim + start + i, sum[i]);
    }
  return OK;
}

// dweight[indices[t, k]] += g[t, k]·hidden[t], f32. Each row of the weight belongs to one thread, which adds to it in the
// order of the tokens; rows are dealt out in turn, because small ids are the frequent ones.
// Slots: 0 dweight, 1 g (f32), 2 hidden, 3 indices, 4 tokens, 5 choices, 6 dim, 7 vocab, 8 whether to add to dweight.
KERNEL(gather_dot_weight) {
  float *dweight = POINTER(float, 0);
  const float *g = POINTER(const float, 1);
  const real *hidden = POINTER(const real, 2);
  const int32_t *indices = POINTER(const int32_t, 3);
  const int64_t tokens = INTEGER(4), choices = INTEGER(5), dim = INTEGER(6), vocab = INTEGER(7);
  if (!INTEGER(8)) memset(dweight, 0, (size_t)(vocab * dim) * sizeof(float));
#pragma omp parallel if (tokens * choices * dim > PARALLEL_WORK)
  for (int64_t k = 0; k < tokens * choices; k++) {
    if (indices[k] % omp_get_num_threads() != omp_get_thread_num()) continue;
    const real *x = hidden + k / choices * dim;
    float *row = dweight + indices[k] * dim;
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) row[i] += g[k] * load(x + i);
  }
  return OK;
}
