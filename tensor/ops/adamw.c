// One step of AdamW over a flat arena, in one pass over memory. The outputs may be the inputs.
// Slots: 0 new master, 1 new m, 2 new v, 3 bf16 copy of the new master or null, 4 master, 5 gradient, 6 m, 7 v, 8 n,
// 9 decay_count, 10 decay, 11 gradient scale, 12 1 - β₁, 13 β₂, 14 1 - β₂, 15 step size, 16 √(1 - β₂ᵗ), 17 eps.
#include "kernel.h"

// A block's numbers stay in the first cache until its bf16 copy is made.
enum { BLOCK = 1024 };

KERNEL(adamw) {
  real *new_master = POINTER(real, 0), *new_m = POINTER(real, 1), *new_v = POINTER(real, 2);
  bf16 *copy = POINTER(bf16, 3);
  const real *master = POINTER(const real, 4), *gradient = POINTER(const real, 5);
  const real *m = POINTER(const real, 6), *v = POINTER(const real, 7);
  const int64_t n = INTEGER(8), decay_count = INTEGER(9);
  const float decay = FLOAT(10), scale = FLOAT(11), one_minus_beta1 = FLOAT(12), beta2 = FLOAT(13);
  const float one_minus_beta2 = FLOAT(14), step_size = FLOAT(15), correction = FLOAT(16), eps = FLOAT(17);
#pragma omp parallel for if (n > PARALLEL_WORK)
  for (int64_t start = 0; start < n; start += BLOCK) {
    const int64_t end = start + BLOCK < n ? start + BLOCK : n;
#pragma omp simd
    for (int64_t i = start; i < end; i++) {
      const float g = load(gradient + i) * scale;
      const float mean = load(m + i) + one_minus_beta1 * (g - load(m + i));
      const float square = beta2 * load(v + i) + one_minus_beta2 * (g * g);
      const float kept = load(master + i) * (i < decay_count ? decay : 1.0f);
      store(new_m + i, mean);
      store(new_v + i, square);
      store(new_master + i, kept - step_size * (mean / (__builtin_sqrtf(square) / correction + eps)));
    }
    if (copy)
#pragma omp simd
      for (int64_t i = start; i < end; i++) copy[i] = bf16_of_f32(load(new_master + i));
  }
  return OK;
}
