// Cross-entropy of rows of logits, and its gradient. With z = logits / temperature and t the target of a row,
//
//   nll  = log Σ exp z - z_t
//   loss = (1 - ε)·nll + ε·(log Σ exp z - mean z) + λ·(log Σ exp z)²        ε: label smoothing, λ: z-loss
//
// Rows whose target is `ignore` give zeros and are not read.
#include "logits.h"

typedef struct {
  int64_t rows, vocab, ignore;
  float smoothing, z_loss, inverse_temperature;
} Shape;

// d loss / d logits = (p·(1 + 2λ·log Σ exp z) - (1 - ε)·[j = t] - ε / vocab) / temperature, times g. `out` may be where
// the logits are.
static inline void write_gradient(Logits logits, float log_sum_exp, int64_t target, float g, real *out, const Shape *s) {
  const float scale = g * s->inverse_temperature, uniform = s->smoothing / (float)s->vocab;
  const float weight = 1 + 2 * s->z_loss * log_sum_exp;
  const float at_target = weight * exp_nonpositive_f32(logit(logits, target) - log_sum_exp) - uniform - (1 - s->smoothing);
#pragma omp simd
  for (int64_t j = 0; j < s->vocab; j++)
    store(out + j, scale * (weight * exp_nonpositive_f32(logit(logits, j) - log_sum_exp) - uniform));
  store(out + target, scale * at_target);
}

typedef struct {
  float loss, nll, entropy;
} Losses;

// The losses of one row, and its gradient where `out` is not null.
static inline Losses row_losses(Logits logits, int64_t target, float g, real *out, const Shape *s) {
  const Distribution p = distribution_of(logits, s->vocab);
  const float nll = p.log_sum_exp - logit(logits, target);
  float loss = nll;
  if (s->smoothing > 0) loss = (1 - s->smoothing) * nll + s->smoothing * (p.log_sum_exp - p.mean);
  if (s->z_loss > 0) loss += s->z_loss * p.log_sum_exp * p.log_sum_exp;
  if (out) write_gradient(logits, p.log_sum_exp, target, g, out, s);
  return (Losses){loss, nll, p.entropy};
}

// `g` and `gradient` may be null. Where g is 0 so is the gradient, whatever the logits are.
static int32_t cross_entropy(const void *logits, int wide, const int32_t *targets, const float *g, real *gradient,
                             float *loss, float *nll, float *entropy, Shape s) {
  for (int64_t row = 0; row < s.rows; row++)
    if (targets[row] != s.ignore && (targets[row] < 0 || targets[row] >= s.vocab)) return INDEX_OUT_OF_RANGE;
#pragma omp parallel for if (s.rows * s.vocab > PARALLEL_WORK)
  for (int64_t row = 0; row < s.rows; row++) {
    const int64_t target = targets[row];
    const float slope = g ? g[row] : 0;
    real *out = slope != 0 ? gradient + row * s.vocab : NULL;
    Losses losses = {0, 0, 0};
    if (target == s.ignore)
      out = NULL;
    else if (sizeof(real) < 4 && wide)
      losses = row_losses(logits_of_row(logits, row, s.vocab, s.inverse_temperature, 1), target, slope, out, &s);
    else
      losses = row_losses(logits_of_row(logits, row, s.vocab, s.inverse_temperature, 0), target, slope, out, &s);
    loss[row] = losses.loss, nll[row] = losses.nll, entropy[row] = losses.entropy;
    if (gradient && !out) memset(gradient + row * s.vocab, 0, (size_t)s.vocab * sizeof(real));
  }
  return OK;
}

// Slots: 0 loss, 1 nll, 2 entropy (f32 [rows] each), 3 logits, 4 targets, 5 rows, 6 vocab, 7 ignore, 8 label smoothing,
// 9 z-loss, 10 1 / temperature.
KERNEL(cross_entropy) {
  const Shape s = {INTEGER(5), INTEGER(6), INTEGER(7), FLOAT(8), FLOAT(9), FLOAT(10)};
  return cross_entropy(POINTER(const void, 3), 0, POINTER(const int32_t, 4), NULL, NULL, POINTER(float, 0),
                       POINTER(float, 1), POINTER(float, 2), s);
}

// Slots: 0 gradient, 1 loss, 2 nll, 3 entropy, 4 logits, 5 targets, 6 g, 7 rows, 8 vocab, 9 ignore, 10 label smoothing,
// 11 z-loss, 12 1 / temperature, 13 whether the logits are f32 whatever the gradient is.
KERNEL(cross_entropy_gradient) {
  const Shape s = {INTEGER(7), INTEGER(8), INTEGER(9), FLOAT(10), FLOAT(11), FLOAT(12)};
  return cross_entropy(POINTER(const void, 4), INTEGER(13) != 0, POINTER(const int32_t, 5), POINTER(const float, 6),
                       POINTER(real, 0), POINTER(float, 1), POINTER(float, 2), POINTER(float, 3), s);
}
