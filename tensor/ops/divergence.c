// Divergences between the distributions of a student and a teacher, row by row, and their gradient to the student's
// logits. With s and t the two distributions, m = β·t + (1 - β)·s,
//
//   FORWARD   KL(t‖s)                        d/dz = s - t
//   REVERSE   KL(s‖t)                        d/dz = s·(log s/t - KL(s‖t))
//   JENSEN    β·KL(t‖m) + (1 - β)·KL(s‖m)    d/dz = (1 - β)·s·(log s/m - KL(s‖m))
//
// where z are the student's logits over the temperature.
#include "logits.h"

enum { FORWARD, REVERSE, JENSEN };

typedef struct {
  int64_t rows, n;
  int direction;
  float beta, inverse_temperature;
} Divergence;

// p·log p/q. Where p is 0 so is this, although its logarithm may be infinite.
static inline float relative(float log_p, float log_q) {
  const float p = exp_nonpositive_f32(log_p);
  return p > 0 ? p * (log_p - log_q) : 0;
}

// log m. The tiny number keeps it finite for entries so improbable that their terms vanish.
static inline float log_mixture(float s, float t, float beta) { return log_f32(beta * t + (1 - beta) * s + 1e-37f); }

// Two rows of logits, and the log Σ exp of each.
typedef struct {
  Logits student, teacher;
  float student_sum, teacher_sum;
} Pair;

#define LOG_S (logit(pair.student, i) - pair.student_sum)
#define LOG_T (logit(pair.teacher, i) - pair.teacher_sum)

// KL(t‖s) or KL(s‖t), and the gradient times `scale` where `out` is not null. `out` may be where the student's logits are.
static inline float forward_row(Pair pair, int64_t n, float scale, real *out) {
  float loss;
  SUM_OVER_ROW(loss, n, relative(LOG_T, LOG_S))
  if (out)
#pragma omp simd
    for (int64_t i = 0; i < n; i++) store(out + i, scale * (exp_nonpositive_f32(LOG_S) - exp_nonpositive_f32(LOG_T)));
  return loss;
}

static inline float reverse_row(Pair pair, int64_t n, float scale, real *out) {
  float loss;
  SUM_OVER_ROW(loss, n, relative(LOG_S, LOG_T))
  if (out)
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      const float s = exp_nonpositive_f32(LOG_S);
      store(out + i, scale * (relative(LOG_S, LOG_T) - s * loss));
    }
  return loss;
}

// s·log s/m and t·log t/m.
static inline float student_term(float log_s, float log_t, float beta) {
  const float s = exp_nonpositive_f32(log_s), log_m = log_mixture(s, exp_nonpositive_f32(log_t), beta);
  return s > 0 ? s * (log_s - log_m) : 0;
}
static inline float teacher_term(float log_s, float log_t, float beta) {
  return student_term(log_t, log_s, 1 - beta);
}

static inline float jensen_row(Pair pair, int64_t n, float scale, real *out, float beta) {
  float of_student, of_teacher;
  SUM_OVER_ROW(of_student, n, student_term(LOG_S, LOG_T, beta))
  SUM_OVER_ROW(of_teacher, n, teacher_term(LOG_S, LOG_T, beta))
  if (out)
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      store(out + i, scale * (1 - beta) * (student_term(LOG_S, LOG_T, beta) - exp_nonpositive_f32(LOG_S) * of_student));
  return beta * of_teacher + (1 - beta) * of_student;
}

static inline float divergence_row(Logits student, Logits teacher, float scale, real *out, const Divergence *d) {
  const Pair pair = {student, teacher, log_sum_exp_of(student, d->n), log_sum_exp_of(teacher, d->n)};
  switch (d->direction) {
    case FORWARD: return forward_row(pair, d->n, scale, out);
    case REVERSE: return reverse_row(pair, d->n, scale, out);
    default: return jensen_row(pair, d->n, scale, out, d->beta);
  }
}

// `g` and `gradient` may be null. Where g is 0 so is the gradient, whatever the logits are.
static int32_t divergence(float *loss, real *gradient, const void *student, const void *teacher, int wide,
                          const float *g, Divergence d) {
#pragma omp parallel for if (d.rows * d.n > PARALLEL_WORK)
  for (int64_t row = 0; row < d.rows; row++) {
    const float slope = g ? g[row] : 0, scale = slope * d.inverse_temperature;
    real *out = slope != 0 ? gradient + row * d.n : NULL;
    if (sizeof(real) < 4 && wide)
      loss[row] = divergence_row(logits_of_row(student, row, d.n, d.inverse_temperature, 1),
                                 logits_of_row(teacher, row, d.n, d.inverse_temperature, 1), scale, out, &d);
    else
      loss[row] = divergence_row(logits_of_row(student, row, d.n, d.inverse_temperature, 0),
                                 logits_of_row(teacher, row, d.n, d.inverse_temperature, 0), scale, out, &d);
    if (gradient && !out) memset(gradient + row * d.n, 0, (size_t)d.n * sizeof(real));
  }
  return OK;
}

// Slots: 0 loss (f32), 1 student, 2 teacher, 3 rows, 4 n, 5 direction, 6 β, 7 1 / temperature.
KERNEL(divergence) {
  const Divergence d = {INTEGER(3), INTEGER(4), (int)INTEGER(5), FLOAT(6), FLOAT(7)};
  return divergence(POINTER(float, 0), NULL, POINTER(const void, 1), POINTER(const void, 2), 0, NULL, d);
}

// Slots: 0 gradient, 1 loss, 2 student, 3 teacher, 4 g (f32), 5 rows, 6 n, 7 direction, 8 β, 9 1 / temperature,
// 10 whether the logits are f32 whatever the gradient is.
KERNEL(divergence_gradient) {
  const Divergence d = {INTEGER(5), INTEGER(6), (int)INTEGER(7), FLOAT(8), FLOAT(9)};
  return divergence(POINTER(float, 1), POINTER(real, 0), POINTER(const void, 2), POINTER(const void, 3),
                    INTEGER(10) != 0, POINTER(const float, 4), d);
}
