// Rows of logits, each turned into a distribution: p = softmax(z), z = logits / temperature.
//
// Logits are `real`, or f32 where they are `wide`: a head of bf16 weights leaves them in f32 until their gradient is
// rounded. `wide` is a constant wherever these functions are inlined, so both cases become loops of their own.
#pragma once
#include "math.h"
#include "rows.h"
#include <float.h>

typedef struct {
  const void *row;
  float inverse_temperature;
  int wide;
} Logits;

// z of entry i.
static inline float logit(Logits logits, int64_t i) {
  const float raw = logits.wide ? ((const float *)logits.row)[i] : load((const real *)logits.row + i);
  return raw * logits.inverse_temperature;
}

// Row `row` of a matrix with n columns.
static inline Logits logits_of_row(const void *matrix, int64_t row, int64_t n, float inverse_temperature, int wide) {
  const int64_t at = row * n * (wide ? 4 : (int64_t)sizeof(real));
  return (Logits){(const char *)matrix + at, inverse_temperature, wide};
}

static inline float max_logit(Logits logits, int64_t n) {
  float partial[LANES];
  for (int lane = 0; lane < LANES; lane++) partial[lane] = -INFINITY;
  int64_t start = 0;
  for (; start + LANES <= n; start += LANES)
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++) {
      const float z = logit(logits, start + lane);
      partial[lane] = z > partial[lane] ? z : partial[lane];
    }
  for (int64_t i = start; i < n; i++) {
    const float z = logit(logits, i);
    partial[0] = z > partial[0] ? z : partial[0];
  }
  for (int lane = 1; lane < LANES; lane++) partial[0] = partial[lane] > partial[0] ? partial[lane] : partial[0];
  return partial[0];
}

// What a row of logits says as a whole.
typedef struct {
  float log_sum_exp; // log Σ exp z
  float entropy;     // −Σ p·log p
  float mean;        // of z
} Distribution;

// Sums over a row, each as LANES interleaved ones, so that their order is fixed by the row's length alone.
typedef struct {
  float exponentials[LANES]; // Σ exp x, x = z − max
  float weighted[LANES];     // Σ x·exp x; nothing where x is infinite
  float plain[LANES];        // Σ x
} LogitSums;

static inline void add_logit(LogitSums *sums, int lane, float x) {
  const float e = exp_nonpositive_f32(x);
  sums->exponentials[lane] += e;
  sums->weighted[lane] += e * (x > -FLT_MAX ? x : -FLT_MAX);
  sums->plain[lane] += x;
}

static inline Distribution distribution_of(Logits logits, int64_t n) {
  const float max = max_logit(logits, n);
  LogitSums sums = {0};
  int64_t start = 0;
  for (; start + LANES <= n; start += LANES)
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++) add_logit(&sums, lane, logit(logits, start + lane) - max);
  for (int lane = 0; start + lane < n; lane++) add_logit(&sums, lane, logit(logits, start + lane) - max);
  float exponentials = 0, weighted = 0, plain = 0;
  for (int lane = 0; lane < LANES; lane++) {
    exponentials += sums.exponentials[lane];
    weighted += sums.weighted[lane];
    plain += sums.plain[lane];
  }
  const float log_sum = log_f32(exponentials);
  return (Distribution){max + log_sum, log_sum - weighted / exponentials, max + plain / (float)n};
}

static inline float log_sum_exp_of(Logits logits, int64_t n) {
  const float max = max_logit(logits, n);
  float sum;
  SUM_OVER_ROW(sum, n, exp_nonpositive_f32(logit(logits, i) - max))
  return max + log_f32(sum);
}
