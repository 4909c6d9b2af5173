// One step of AdamW over a flat arena, in one pass over memory; as adamw.c.
// Slots: 0 new master, 1 new m, 2 new v, 3 bf16 copy of the new master or null, 4 master, 5 gradient, 6 m, 7 v,
// 8 factors: f32 [decay, step size, √(1 - β₂ᵗ), gradient scale, applied], 9 n, 10 decay_count, 11 1 - β₁, 12 β₂,
// 13 1 - β₂, 14 eps.
KERNEL(adamw) {
  real *new_master = POINTER(real, 0), *new_m = POINTER(real, 1), *new_v = POINTER(real, 2);
  bf16 *copy = POINTER(bf16, 3);
  const real *master = POINTER(const real, 4), *gradient = POINTER(const real, 5);
  const real *m = POINTER(const real, 6), *v = POINTER(const real, 7);
  const float *factors = POINTER(const float, 8);
  const float decay = factors[0], step_size = factors[1], correction = factors[2], scale = factors[3];
  const bool applied = factors[4] != 0;
  const int64_t n = INTEGER(9), decay_count = INTEGER(10);
  const float one_minus_beta1 = FLOAT(11), beta2 = FLOAT(12), one_minus_beta2 = FLOAT(13), eps = FLOAT(14);
  const bool wide = is_aligned(new_master) && is_aligned(new_m) && is_aligned(new_v) && is_aligned(master) &&
                    is_aligned(gradient) && is_aligned(m) && is_aligned(v);
  FOR_GRID_VECTORS(i, n) {
    float w[VECTOR], g[VECTOR], mean[VECTOR], square[VECTOR];
    load_vector(master, i, n, wide, w);
    load_vector(gradient, i, n, wide, g);
    load_vector(m, i, n, wide, mean);
    load_vector(v, i, n, wide, square);
#pragma unroll
    for (int k = 0; k < VECTOR && applied; k++) {
      const float scaled = g[k] * scale;
      mean[k] += one_minus_beta1 * (scaled - mean[k]);
      square[k] = beta2 * square[k] + one_minus_beta2 * (scaled * scaled);
      const float kept = w[k] * (i + k < decay_count ? decay : 1.0f);
      w[k] = kept - step_size * (mean[k] / (sqrtf(square[k]) / correction + eps));
    }
    store_vector(new_m, i, n, wide, mean);
    store_vector(new_v, i, n, wide, square);
    store_vector(new_master, i, n, wide, w);
    if (!copy) continue;
    for (int k = 0; k < VECTOR; k++)
      if (i + k < n) copy[i + k] = bf16_of_f32(w[k]);
  }
}
