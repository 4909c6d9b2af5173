// Checks that kernels make before they follow an index.
#pragma once
#include "kernel.h"

// Whether all of the n indices are at least 0 and below `size`.
static inline int indices_fit(const int32_t *indices, int64_t n, int64_t size) {
  int bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t i = 0; i < n; i++) bad |= (indices[i] < 0) | (indices[i] >= size);
  return !bad;
}
