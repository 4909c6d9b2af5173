// The Euclidean norm of all elements.
// Slots: 0 out (f32), 1 x, 2 n.
//
// Squares of f32 are exact in f64 and cannot overflow there. They are added in blocks of BLOCK elements, a block in LANES
// interleaved partial sums, and blocks in order, so the result does not depend on the number of threads.
#include "kernel.h"

enum { BLOCK = 16384 };

static double squares_of_block(const real *x, int64_t n) {
  double partial[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int lane = 0; lane < LANES; lane++) partial[lane] += (double)load(x + i + lane) * (double)load(x + i + lane);
  for (int lane = 0; i + lane < n; lane++) partial[lane] += (double)load(x + i + lane) * (double)load(x + i + lane);
  double total = 0;
  for (int lane = 0; lane < LANES; lane++) total += partial[lane];
  return total;
}

KERNEL(global_norm) {
  const real *x = POINTER(const real, 1);
  const int64_t n = INTEGER(2);
  double total = 0;
#pragma omp parallel for ordered schedule(static, 1) if (n > 4 * BLOCK)
  for (int64_t start = 0; start < n; start += BLOCK) {
    const double block = squares_of_block(x + start, n - start < BLOCK ? n - start : BLOCK);
#pragma omp ordered
    total += block;
  }
  *POINTER(float, 0) = (float)sqrt(total);
  return OK;
}
