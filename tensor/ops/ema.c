// average ← decay · average + (1 - decay) · values. The output may be the average.
// Slots: 0 out, 1 average, 2 values, 3 n, 4 1 - decay.
#include "kernel.h"

enum { BLOCK = 8192 };

KERNEL(ema) {
  real *out = POINTER(real, 0);
  const real *average = POINTER(const real, 1), *values = POINTER(const real, 2);
  const int64_t n = INTEGER(3);
  const float share = FLOAT(4);
#pragma omp parallel for if (n > PARALLEL_WORK)
  for (int64_t start = 0; start < n; start += BLOCK) {
    const int64_t end = start + BLOCK < n ? start + BLOCK : n;
#pragma omp simd
    for (int64_t i = start; i < end; i++) {
      const float before = load(average + i);
      store(out + i, before + share * (load(values + i) - before));
    }
  }
  return OK;
}
