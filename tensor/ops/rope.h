// Turning one head, for the ops that do.
#pragma once
#include "kernel.h"

// turns: [pairs, 2], cosine and sine; direction: 1, or -1 to turn back. Pair i is elements i and pairs + i.
static inline void rotate_half(real *out, const real *x, const float *turns, int64_t pairs, float direction) {
#pragma omp simd
  for (int64_t i = 0; i < pairs; i++) {
    const float a = load(x + i), b = load(x + pairs + i);
    const float cosine = turns[2 * i], sine = direction * turns[2 * i + 1];
    store(out + i, a * cosine - b * sine);
    store(out + pairs + i, a * sine + b * cosine);
  }
}
