// One step of gradient descent over a flat arena. The outputs may be the inputs.
// Slots: 0 new master, 1 new velocity or null, 2 bf16 copy of the new master or null, 3 master, 4 gradient, 5 velocity or
// null, 6 n, 7 decay_count, 8 weight decay, 9 gradient scale, 10 momentum, 11 nesterov, 12 learning rate.
#include "kernel.h"

// A block's numbers stay in the first cache until its bf16 copy is made.
enum { BLOCK = 2048 };

KERNEL(sgd) {
  real *new_master = POINTER(real, 0), *new_velocity = POINTER(real, 1);
  bf16 *copy = POINTER(bf16, 2);
  const real *master = POINTER(const real, 3), *gradient = POINTER(const real, 4);
  const real *velocity = POINTER(const real, 5);
  const int64_t n = INTEGER(6), decay_count = INTEGER(7);
  const float weight_decay = FLOAT(8), scale = FLOAT(9), momentum = FLOAT(10), lr = FLOAT(12);
  const int nesterov = INTEGER(11) != 0;
#pragma omp parallel for if (n > PARALLEL_WORK)
  for (int64_t start = 0; start < n; start += BLOCK) {
    const int64_t end = start + BLOCK < n ? start + BLOCK : n;
    if (velocity)
#pragma omp simd
      for (int64_t i = start; i < end; i++) {
        const float w = load(master + i);
        const float g = load(gradient + i) * scale + (i < decay_count ? weight_decay : 0.0f) * w;
        const float next = momentum * load(velocity + i) + g;
        store(new_velocity + i, next);
        store(new_master + i, w - lr * (nesterov ? g + momentum * next : next));
      }
    else
#pragma omp simd
      for (int64_t i = start; i < end; i++) {
        const float w = load(master + i);
        const float g = load(gradient + i) * scale + (i < decay_count ? weight_decay : 0.0f) * w;
        store(new_master + i, w - lr * g);
      }
    if (copy)
#pragma omp simd
      for (int64_t i = start; i < end; i++) copy[i] = bf16_of_f32(load(new_master + i));
  }
  return OK;
}
