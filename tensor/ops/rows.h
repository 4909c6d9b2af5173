// Sums over one row. The order of a sum is fixed by the length of the row alone: LANES interleaved partial sums, then
// those from the first to the last.
#pragma once
#include "kernel.h"

// `total` becomes the sum of `term`, an expression of the index `i`, over 0 <= i < n.
#define SUM_OVER_ROW(total, n, term)                                                                                  \
  {                                                                                                                   \
    vf partial = {0};                                                                                                 \
    int64_t start = 0;                                                                                                \
    for (; start + LANES <= (n); start += LANES)                                                                      \
      for (int lane = 0; lane < LANES; lane++) {                                                                      \
        const int64_t i = start + lane;                                                                               \
        partial[lane] += (term);                                                                                      \
      }                                                                                                               \
    for (int lane = 0; start + lane < (n); lane++) {                                                                  \
      const int64_t i = start + lane;                                                                                 \
      partial[lane] += (term);                                                                                        \
    }                                                                                                                 \
    (total) = 0;                                                                                                      \
    for (int lane = 0; lane < LANES; lane++) (total) += partial[lane];                                                \
  }

// LANES elements at p as f32; only the first `left` are there, the rest are zeros.
static inline vf row_vector(const real *p, int64_t left) {
  real padded[LANES] = {0};
  if (left < LANES) p = memcpy(padded, p, sizeof(real) * (size_t)left);
#if defined(REAL_BF16)
  typedef bf16 halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
  return (vf)(__builtin_convertvector(*(const halves *)p, vi) << 16);
#else
  return *(const vfu *)p;
#endif
}

// The same sum where `term` is an expression of whole vectors AT(row), for which the compiler makes better code of bf16.
#define AT(row) row_vector((row) + i, left)
#define SUM_OVER_VECTORS(total, n, term)                                                                              \
  {                                                                                                                   \
    vf partial = {0};                                                                                                 \
    int64_t i = 0;                                                                                                    \
    for (; i + LANES <= (n); i += LANES) {                                                                            \
      const int64_t left = LANES;                                                                                     \
      partial += (term);                                                                                              \
    }                                                                                                                 \
    if (i < (n)) {                                                                                                    \
      const int64_t left = (n)-i;                                                                                     \
      const vf last = (term);                                                                                         \
      for (int lane = 0; lane < left; lane++) partial[lane] += last[lane];                                            \
    }                                                                                                                 \
    (total) = 0;                                                                                                      \
    for (int lane = 0; lane < LANES; lane++) (total) += partial[lane];                                                \
  }

// The largest of n numbers, NaN where one is, -∞ of none.
static inline float largest_or_nan(const float *x, int64_t n) {
  float top = -INFINITY;
  int nan = 0;
#pragma omp simd reduction(max : top) reduction(| : nan)
  for (int64_t i = 0; i < n; i++) {
    top = x[i] > top ? x[i] : top;
    nan |= x[i] != x[i];
  }
  return nan ? NAN : top;
}
