// Products of rows of hidden states with a few chosen rows of a weight: K logits for each token, out of the whole
// vocabulary.
#include "buckets.cuh"

// out[t, k] = hidden[t]·weight[indices[t, k]]. A warp for each.
// Slots: 0 out (f32 [tokens, choices]), 1 hidden [tokens, dim], 2 weight [vocab, dim], 3 indices [tokens, choices],
// 4 tokens, 5 choices, 6 dim, 7 vocab.
KERNEL(gather_dot) {
  const int64_t choices = INTEGER(5), dim = INTEGER(6);
  const int64_t k = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
  if (k >= INTEGER(4) * choices) return;
  const int64_t index = POINTER(const int32_t, 3)[k];
  if (!index_fits(context, index, k, INTEGER(7))) return;
  const real *x = POINTER(const real, 1) + k / choices * dim, *row = POINTER(const real, 2) + index * dim;
  const bool wide = is_aligned(x) && is_aligned(row);
  const OneWarp team;
  float sum = 0, a[VECTOR], b[VECTOR];
  FOR_TEAM_VECTORS(i, dim) {
    load_vector(x, i, dim, wide, a);
    load_vector(row, i, dim, wide, b);
#pragma unroll
    for (int j = 0; j < VECTOR; j++) sum += a[j] * b[j];
  }
  sum = sum_over(team, sum);
  if (team.rank() == 0) POINTER(float, 0)[k] = sum;
}

// dhidden[t] = Σ over k of g[t, k]·weight[indices[t, k]]. A block for each token.
// Slots: 0 dhidden, 1 g (f32), 2 weight, 3 indices, 4 tokens, 5 choices, 6 dim.
KERNEL(gather_dot_hidden) {
  const int64_t choices = INTEGER(5), dim = INTEGER(6), token = blockIdx.x;
  const OneBlock team;
  FOR_TEAM(i, dim) {
    float sum = 0;
    for (int64_t k = token * choices; k < (token + 1) * choices; k++)
      sum += POINTER(const float, 1)[k] * load(POINTER(const real, 2) + POINTER(const int32_t, 3)[k] * dim + i);
    store(POINTER(real, 0) + token * dim + i, sum);
  }
}

// dweight[indices[t, k]] += g[t, k]·hidden[t], f32, in the order of the entries.
// Slots: 0 dweight, 1 g (f32), 2 hidden, 3 indices, 4 tokens, 5 choices, 6 dim, 7 vocab, 8 whether to add to dweight.
// Scratch: as buckets.cuh has it.
#define ENTRIES (INTEGER(4) * INTEGER(5))
#define BUCKETS buckets_in(context.scratch, INTEGER(7), ENTRIES)
KERNEL(gather_dot_clear) { bucket_clear(BUCKETS, INTEGER(7)); }
KERNEL(gather_dot_count) { bucket_count(context, BUCKETS, POINTER(const int32_t, 3), ENTRIES, INTEGER(7)); }
KERNEL(gather_dot_begin) { bucket_begin(BUCKETS, INTEGER(7)); }
KERNEL(gather_dot_place) { bucket_place(BUCKETS, POINTER(const int32_t, 3), ENTRIES, INTEGER(7)); }
KERNEL(gather_dot_order) { bucket_order(BUCKETS); }

// One block for each row of the weight and each stripe of columns.
KERNEL(gather_dot_weight) {
  const Buckets b = BUCKETS;
  const int64_t row = blockIdx.x, choices = INTEGER(5), dim = INTEGER(6);
  const int64_t first = b.starts[row], last = b.starts[row + 1];
  if (first == last && INTEGER(8)) return;
  const int64_t column = (int64_t)blockIdx.y * THREADS + threadIdx.x;
  if (column >= dim) return;
  float *to = POINTER(float, 0) + row * dim + column;
  float sum = INTEGER(8) ? *to : 0.0f;
  for (int64_t i = first; i < last; i++) {
    const int64_t k = b.ordered[i];
    sum += POINTER(const float, 1)[k] * load(POINTER(const real, 2) + k / choices * dim + column);
  }
  *to = sum;
}
