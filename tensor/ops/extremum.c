// The largest or smallest element along the middle axis of [outer, n, inner], where it is, and its gradient. NaN counts
// as more extreme than any number. Also for REAL_I32.
#include "along_axis.h"

// Whether x takes the place of the best so far.
static inline int takes_over(arith x, arith best, int smallest) {
  return (smallest ? x < best : x > best) | ((x != x) & (best == best));
}

// x: [n], n > 0 → its extremum, LANES partial ones at a time.
static inline arith extremum_row(const real *x, int64_t n, int smallest) {
  arith best[LANES];
  const int64_t width = at_most(n, LANES);
  best[0] = load(x);
  for (int64_t j = 1; j < width; j++) best[j] = load(x + j);
  int64_t i = width;
  for (; i + LANES <= n; i += LANES)
#pragma omp simd
    for (int j = 0; j < LANES; j++) {
      const arith value = load(x + i + j);
      best[j] = takes_over(value, best[j], smallest) ? value : best[j];
    }
  for (int64_t j = 0; i + j < n; j++) {
    const arith value = load(x + i + j);
    best[j] = takes_over(value, best[j], smallest) ? value : best[j];
  }
  for (int64_t j = 1; j < width; j++) best[0] = takes_over(best[j], best[0], smallest) ? best[j] : best[0];
  return best[0];
}

// x: [n, inner] → out: [columns].
static inline void extremum_columns(const real *x, real *out, int64_t n, int64_t inner, int64_t columns, int smallest) {
  arith best[WIDTH];
  for (int64_t j = 0; j < columns; j++) best[j] = load(x + j);
  for (int64_t i = 1; i < n; i++)
#pragma omp simd
    for (int64_t j = 0; j < columns; j++) {
      const arith value = load(x + i * inner + j);
      best[j] = takes_over(value, best[j], smallest) ? value : best[j];
    }
  for (int64_t j = 0; j < columns; j++) store(out + j, best[j]);
}

// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner.
#define EXTREMUM(smallest)                                                                                            \
  real *out = POINTER(real, 0);                                                                                       \
  const real *x = POINTER(const real, 1);                                                                             \
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4);                                               \
  ALONG_AXIS(store(out + result, extremum_row(x + first, n, smallest)),                                               \
             extremum_columns(x + first, out + result, n, inner, columns, smallest))                                  \
  return OK;

KERNEL(max) { EXTREMUM(0) }
KERNEL(min) { EXTREMUM(1) }

// x: [n] → the first index of its largest element, which is found first.
static int32_t argmax_row(const real *x, int64_t n) {
  const arith best = extremum_row(x, n, 0);
  int64_t i = 0;
  if (best == best)
    while (load(x + i) != best) i++;
  else
    while (load(x + i) == load(x + i)) i++;
  return (int32_t)i;
}

static void argmax_columns(const real *x, int32_t *out, int64_t n, int64_t inner, int64_t columns) {
  arith best[WIDTH];
  int32_t at[WIDTH] = {0};
  for (int64_t j = 0; j < columns; j++) best[j] = load(x + j);
  for (int64_t i = 1; i < n; i++)
#pragma omp simd
    for (int64_t j = 0; j < columns; j++) {
      const arith value = load(x + i * inner + j);
      const int better = takes_over(value, best[j], 0);
      best[j] = better ? value : best[j];
      at[j] = better ? (int32_t)i : at[j];
    }
  for (int64_t j = 0; j < columns; j++) out[j] = at[j];
}

// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner.
KERNEL(argmax) {
  int32_t *out = POINTER(int32_t, 0);
  const real *x = POINTER(const real, 1);
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4);
  ALONG_AXIS(out[result] = argmax_row(x + first, n), argmax_columns(x + first, out + result, n, inner, columns))
  return OK;
}

#if !defined(REAL_I32)

// The gradient g of an extremum y goes to the elements of x that equal it, in equal shares. `step` is from one element
// to the next.
static void extremum_backward(const real *x, float y, float g, real *out, int64_t n, int64_t step) {
  int64_t equals = 0;
  for (int64_t i = 0; i < n; i++) equals += load(x + i * step) == y;
  const float share = g / (float)equals;
  const float rest = equals ? 0 : NAN; // y is NaN
  for (int64_t i = 0; i < n; i++) store(out + i * step, load(x + i * step) == y ? share : rest);
}

// Slots: 0 out, 1 x, 2 y, 3 g, 4 outer, 5 n, 6 inner.
KERNEL(extremum_backward) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1), *y = POINTER(const real, 2), *g = POINTER(const real, 3);
  const int64_t outer = INTEGER(4), n = INTEGER(5), inner = INTEGER(6);
#pragma omp parallel for if (outer * n * inner > PARALLEL_WORK)
  for (int64_t result = 0; result < outer * inner; result++) {
    const int64_t first = result / inner * n * inner + result % inner;
    extremum_backward(x + first, load(y + result), load(g + result), out + first, n, inner);
  }
  return OK;
}

#endif
