// Running sums along the middle axis of [outer, n, inner], forwards or backwards. Also for REAL_I32.
// Sums of floats are kept in doubles, since their errors add up.
// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner, 5 backwards.
#include "along_axis.h"

#if defined(REAL_I32)
typedef uint32_t sum_type; // wraps
#else
typedef double sum_type;
#endif

// out[i] = x[0] + … + x[i], in steps of `step` from one element to the next.
static void cumsum_row(const real *x, real *out, int64_t n, int64_t step) {
  sum_type total = 0;
  for (int64_t i = 0; i < n; i++) {
    total += (sum_type)load(x + i * step);
    store(out + i * step, (arith)total);
  }
}

static void cumsum_columns(const real *x, real *out, int64_t n, int64_t step, int64_t columns) {
  sum_type total[WIDTH] = {0};
  for (int64_t i = 0; i < n; i++)
#pragma omp simd
    for (int64_t j = 0; j < columns; j++) {
      total[j] += (sum_type)load(x + i * step + j);
      store(out + i * step + j, (arith)total[j]);
    }
}

KERNEL(cumsum) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4), backwards = INTEGER(5);
  if (n == 0) return OK;
  // Backwards is forwards from the last element with a negative step.
  const int64_t begin = backwards ? (n - 1) * inner : 0, step = backwards ? -inner : inner;
  ALONG_AXIS(cumsum_row(x + first + begin, out + first + begin, n, step),
             cumsum_columns(x + first + begin, out + first + begin, n, step, columns))
  return OK;
}
