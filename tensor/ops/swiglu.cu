// The gated unit of a transformer's feed-forward layer: out = silu(gate)·up, silu(x) = x·sigmoid(x).

// Slots: 0 out, 1 gate, 2 up, 3 n.
KERNEL(swiglu) {
  const int64_t n = INTEGER(3);
  real *out = POINTER(real, 0);
  const real *gate = POINTER(const real, 1), *up = POINTER(const real, 2);
  const bool wide = is_aligned(out) && is_aligned(gate) && is_aligned(up);
  FOR_GRID_VECTORS(i, n) {
    float x[VECTOR], u[VECTOR];
    load_vector(gate, i, n, wide, x);
    load_vector(up, i, n, wide, u);
#pragma unroll
    for (int k = 0; k < VECTOR; k++) x[k] *= sigmoid_f32(x[k]) * u[k];
    store_vector(out, i, n, wide, x);
  }
}

// dgate = g·up·s·(1 + gate·(1 - s)) with s = sigmoid(gate);  dup = g·silu(gate).
// Slots: 0 dgate, 1 dup, 2 g, 3 gate, 4 up, 5 n.
KERNEL(swiglu_backward) {
  const int64_t n = INTEGER(5);
  real *dgate = POINTER(real, 0), *dup = POINTER(real, 1);
  const real *g = POINTER(const real, 2), *gate = POINTER(const real, 3), *up = POINTER(const real, 4);
  const bool wide = is_aligned(dgate) && is_aligned(dup) && is_aligned(g) && is_aligned(gate) && is_aligned(up);
  FOR_GRID_VECTORS(i, n) {
    float slope[VECTOR], x[VECTOR], u[VECTOR];
    load_vector(g, i, n, wide, slope);
    load_vector(gate, i, n, wide, x);
    load_vector(up, i, n, wide, u);
#pragma unroll
    for (int k = 0; k < VECTOR; k++) {
      const float s = sigmoid_f32(x[k]);
      u[k] = slope[k] * u[k] * s * (1.0f + x[k] * (1.0f - s));
      x[k] = slope[k] * x[k] * s;
    }
    store_vector(dgate, i, n, wide, u);
    store_vector(dup, i, n, wide, x);
  }
}

// The same as swiglu with gate and up side by side in each row: [rows, 2, width].
// Slots: 0 out, 1 x, 2 rows, 3 width.
KERNEL(swiglu_halves) {
  const int64_t width = INTEGER(3);
  for_each_row(INTEGER(2), width, [&](auto team, int64_t row) {
    const real *gate = POINTER(const real, 1) + 2 * row * width, *up = gate + width;
    real *out = POINTER(real, 0) + row * width;
    const bool wide = is_aligned(gate) && is_aligned(up) && is_aligned(out);
    FOR_TEAM_VECTORS(i, width) {
      float x[VECTOR], u[VECTOR];
      load_vector(gate, i, width, wide, x);
      load_vector(up, i, width, wide, u);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) x[k] *= sigmoid_f32(x[k]) * u[k];
      store_vector(out, i, width, wide, x);
    }
  });
}
