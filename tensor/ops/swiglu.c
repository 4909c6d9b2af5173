// The gated unit of a transformer's feed-forward layer: out = silu(gate)·up, silu(x) = x·sigmoid(x).
#include "math.h"

// Pieces of this many elements are one thread's work.
enum { PIECE = 16384 };

// Slots: 0 out, 1 gate, 2 up, 3 n.
KERNEL(swiglu) {
  real *out = POINTER(real, 0);
  const real *gate = POINTER(const real, 1), *up = POINTER(const real, 2);
  const int64_t n = INTEGER(3);
#pragma omp parallel for simd schedule(static, PIECE) if (n > PARALLEL_WORK)
  for (int64_t i = 0; i < n; i++) {
    const float x = load(gate + i);
    store(out + i, x * sigmoid_f32(x) * load(up + i));
  }
  return OK;
}

// The same with gate and up side by side in each row: [rows, 2, width].
// Slots: 0 out, 1 x, 2 rows, 3 width.
KERNEL(swiglu_halves) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int64_t rows = INTEGER(2), width = INTEGER(3);
#pragma omp parallel for if (rows * width > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    const real *gate = x + 2 * row * width, *up = gate + width;
    real *to = out + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; i++) {
      const float g = load(gate + i);
      store(to + i, g * sigmoid_f32(g) * load(up + i));
    }
  }
  return OK;
}

// dgate = g·up·s·(1 + gate·(1 - s)) with s = sigmoid(gate);  dup = g·silu(gate).
// Slots: 0 dgate, 1 dup, 2 g, 3 gate, 4 up, 5 n.
KERNEL(swiglu_backward) {
  real *dgate = POINTER(real, 0), *dup = POINTER(real, 1);
  const real *g = POINTER(const real, 2), *gate = POINTER(const real, 3), *up = POINTER(const real, 4);
  const int64_t n = INTEGER(5);
#pragma omp parallel for simd schedule(static, PIECE) if (n > PARALLEL_WORK)
  for (int64_t i = 0; i < n; i++) {
    const float x = load(gate + i), s = sigmoid_f32(x), gradient = load(g + i);
    store(dgate + i, gradient * load(up + i) * s * (1.0f + x * (1.0f - s)));
    store(dup + i, gradient * x * s);
  }
  return OK;
}
