// One step of AdamW over a flat arena, in one pass over memory. The outputs may be the inputs.
// Slots: 0 new master, 1 new m, 2 new v, 3 bf16 copy of the new master or null, 4 master, 5 gradient, 6 m, 7 v,
// 8 factors: f32 [decay, step size, √(1 - β₂ᵗ), gradient scale, applied], 9 n, 10 decay_count, 11 1 - β₁, 12 β₂,
// 13 1 - β₂, 14 eps.
#include "kernel.h"

// A block's numbers stay in the first cache until its bf16 copy is made.
enum { BLOCK = 1024 };

KERNEL(adamw) {
  real *new_master = POINTER(real, 0), *new_m = POINTER(real, 1), *new_v = POINTER(real, 2);
  bf16 *copy = POINTER(bf16, 3);
  const real *master = POINTER(const real, 4), *gradient = POINTER(const real, 5);
  const real *m = POINTER(const real, 6), *v = POINTER(const real, 7);
  const float *factors = POINTER(const float, 8);
  const float decay = factors[0], step_size = factors[1], correction = factors[2], scale = factors[3];
  const int applied = factors[4] != 0;
  const int64_t n = INTEGER(9), decay_count = INTEGER(10);
  const float one_minus_beta1 = FLOAT(11), beta2 = FLOAT(12), one_minus_beta2 = FLOAT(13), eps = FLOAT(14);
#pragma omp parallel for if (n > PARALLEL_WORK)
  for (int64_t start = 0; start < n; start += BLOCK) {
    const int64_t end = start + BLOCK < n ? start + BLOCK : n;
    if (!applied)
      for (int64_t i = start; i < end; i++) new_master[i] = master[i], new_m[i] = m[i], new_v[i] = v[i];
    else
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
