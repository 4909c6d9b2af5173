// Divergences between the distributions of a student and a teacher, row by row, and their gradient to the student's
// logits; as divergence.c. One block for each row.
#include "logits.cuh"

enum { FORWARD, REVERSE, JENSEN };

// p·log p/q. Where p is 0 so is this, although its logarithm may be infinite.
__device__ inline float relative(float log_p, float log_q) {
  const float p = expf(log_p);
  return p > 0 ? p * (log_p - log_q) : 0;
}

// s·log s/m with m = β·t + (1 - β)·s. The tiny number keeps log m finite for entries so improbable that they vanish.
__device__ inline float student_term(float log_s, float log_t, float beta) {
  const float s = expf(log_s), log_m = logf(beta * expf(log_t) + (1 - beta) * s + 1e-37f);
  return s > 0 ? s * (log_s - log_m) : 0;
}

template <class T> struct Pair {
  Logits<T> student, teacher;
  float student_sum, teacher_sum;
  __device__ float log_s(int64_t i) const { return student[i] - student_sum; }
  __device__ float log_t(int64_t i) const { return teacher[i] - teacher_sum; }
};

// The sum over a row of an expression of `i`.
#define ROW_SUM(total, expression)                                                                                    \
  float total = 0;                                                                                                    \
  FOR_TEAM(i, n) total += expression;                                                                                 \
  total = sum_over(team, total);

// Returns the loss, and writes the gradient times `scale` where `out` is not null. `out` may be where the student's
// logits are.
template <class T>
__device__ inline float divergence_row(const Pair<T> &p, int64_t n, int64_t direction, float beta, float scale,
                                       real *out) {
  const OneBlock team;
  if (direction == FORWARD) {
    ROW_SUM(loss, relative(p.log_t(i), p.log_s(i)))
    if (out) FOR_TEAM(i, n) store(out + i, scale * (expf(p.log_s(i)) - expf(p.log_t(i))));
    return loss;
  }
  if (direction == REVERSE) {
    ROW_SUM(loss, relative(p.log_s(i), p.log_t(i)))
    if (out) FOR_TEAM(i, n) store(out + i, scale * (relative(p.log_s(i), p.log_t(i)) - expf(p.log_s(i)) * loss));
    return loss;
  }
  ROW_SUM(of_student, student_term(p.log_s(i), p.log_t(i), beta))
  ROW_SUM(of_teacher, student_term(p.log_t(i), p.log_s(i), 1 - beta))
  if (out)
    FOR_TEAM(i, n) {
      const float term = student_term(p.log_s(i), p.log_t(i), beta);
      store(out + i, scale * (1 - beta) * (term - expf(p.log_s(i)) * of_student));
    }
  return beta * of_teacher + (1 - beta) * of_student;
}

template <class T>
__device__ inline void divergence_of(const T *student, const T *teacher, int64_t n, int64_t direction, float beta,
                                     float inverse_temperature, float *loss, real *gradient, float g) {
  const OneBlock team;
  const int64_t row = blockIdx.x;
  Pair<T> p = {{student + row * n, inverse_temperature}, {teacher + row * n, inverse_temperature}, 0, 0};
  p.student_sum = distribution_of(p.student, n).log_sum_exp;
  p.teacher_sum = distribution_of(p.teacher, n).log_sum_exp;
  real *out = gradient && g != 0 ? gradient + row * n : 0;
  const float total = divergence_row(p, n, direction, beta, g * inverse_temperature, out);
  if (threadIdx.x == 0) loss[row] = total;
  if (gradient && !out) FOR_TEAM(i, n) store(gradient + row * n + i, 0);
}

// Slots: 0 loss (f32), 1 student, 2 teacher, 3 rows, 4 n, 5 direction, 6 β, 7 1 / temperature.
KERNEL(divergence) {
  divergence_of(POINTER(const real, 1), POINTER(const real, 2), INTEGER(4), INTEGER(5), FLOAT(6), FLOAT(7),
                POINTER(float, 0), 0, 0);
}

// Slots: 0 gradient, 1 loss, 2 student, 3 teacher, 4 g (f32), 5 rows, 6 n, 7 direction, 8 β, 9 1 / temperature,
// 10 whether the logits are f32 whatever the gradient is.
KERNEL(divergence_gradient) {
  const float g = POINTER(const float, 4)[blockIdx.x];
  if (INTEGER(10))
    divergence_of(POINTER(const float, 2), POINTER(const float, 3), INTEGER(6), INTEGER(7), FLOAT(8), FLOAT(9),
                  POINTER(float, 1), POINTER(real, 0), g);
  else
    divergence_of(POINTER(const real, 2), POINTER(const real, 3), INTEGER(6), INTEGER(7), FLOAT(8), FLOAT(9),
                  POINTER(float, 1), POINTER(real, 0), g);
}
