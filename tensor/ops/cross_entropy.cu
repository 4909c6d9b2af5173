// Cross-entropy of rows of logits, and its gradient; as cross_entropy.c. One block for each row.
#include "logits.cuh"

struct Row {
  int64_t vocab, target, ignore;
  float smoothing, z_loss, inverse_temperature;
  float *loss, *nll, *entropy;
};

// The losses of a row, and its gradient times g where `out` is not null and g not 0. `out` may be where the logits are.
template <class T>
__device__ inline void cross_entropy_row(const Context &context, const T *logits, const Row &row, real *out, float g) {
  const OneBlock team;
  if (row.target == row.ignore || !index_fits(context, row.target, blockIdx.x, row.vocab)) {
    if (threadIdx.x == 0) *row.loss = *row.nll = *row.entropy = 0;
    if (out) FOR_TEAM(i, row.vocab) store(out + i, 0);
    return;
  }
  const Logits<T> z = {logits, row.inverse_temperature};
  const float at_target = z[row.target]; // before the gradient is written over it
  const Distribution p = distribution_of(z, row.vocab);
  const float nll = p.log_sum_exp - at_target;
  if (threadIdx.x == 0) {
    float loss = nll;
    if (row.smoothing > 0) loss = (1 - row.smoothing) * nll + row.smoothing * (p.log_sum_exp - p.mean);
    if (row.z_loss > 0) loss += row.z_loss * p.log_sum_exp * p.log_sum_exp;
    *row.loss = loss, *row.nll = nll, *row.entropy = p.entropy;
  }
  if (!out) return;
  const float scale = g * row.inverse_temperature, uniform = row.smoothing / (float)row.vocab;
  const float weight = 1 + 2 * row.z_loss * p.log_sum_exp;
  const bool grouped = z.is_grouped(row.vocab) && (uint64_t)out % (GROUP * sizeof(real)) == 0;
  FOR_TEAM_GROUPS(i, row.vocab) {
    float values[GROUP];
    z.load(i, row.vocab, grouped, values);
#pragma unroll
    for (int k = 0; k < GROUP; k++) {
      const float at_entry = i + k == row.target ? 1 - row.smoothing : 0.0f;
      const float slope = weight * expf(values[k] - p.log_sum_exp) - uniform - at_entry;
      values[k] = g == 0 ? 0.0f : scale * slope;
    }
    store_group(out, i, row.vocab, grouped, values);
  }
}

// Slots: 0 loss, 1 nll, 2 entropy (f32 [rows] each), 3 logits, 4 targets, 5 rows, 6 vocab, 7 ignore, 8 label smoothing,
// 9 z-loss, 10 1 / temperature.
KERNEL(cross_entropy) {
  const int64_t i = blockIdx.x, vocab = INTEGER(6);
  const Row row = {vocab,     POINTER(const int32_t, 4)[i], INTEGER(7), FLOAT(8), FLOAT(9), FLOAT(10),
                   POINTER(float, 0) + i, POINTER(float, 1) + i, POINTER(float, 2) + i};
  cross_entropy_row(context, POINTER(const real, 3) + i * vocab, row, 0, 0);
}

// Slots: 0 gradient, 1 loss, 2 nll, 3 entropy, 4 logits, 5 targets, 6 g, 7 rows, 8 vocab, 9 ignore, 10 label smoothing,
// 11 z-loss, 12 1 / temperature, 13 whether the logits are f32 whatever the gradient is.
KERNEL(cross_entropy_gradient) {
  const int64_t i = blockIdx.x, vocab = INTEGER(8);
  const Row row = {vocab,     POINTER(const int32_t, 5)[i], INTEGER(9), FLOAT(10), FLOAT(11), FLOAT(12),
                   POINTER(float, 1) + i, POINTER(float, 2) + i, POINTER(float, 3) + i};
  const float g = POINTER(const float, 6)[i];
  real *out = POINTER(real, 0) + i * vocab;
  if (INTEGER(13)) cross_entropy_row(context, POINTER(const float, 4) + i * vocab, row, out, g);
  else cross_entropy_row(context, POINTER(const real, 4) + i * vocab, row, out, g);
}
