// Root mean square normalisation over the last axis, alone or after adding a residual; as rms_norm.c.

// Slots: 0 y, 1 rstd, 2 sum or null, 3 x, 4 residual or null, 5 weight, 6 rows, 7 dim, 8 eps.
KERNEL(rms_norm) {
  const int64_t rows = INTEGER(6), dim = INTEGER(7);
  const real *weight = POINTER(const real, 5);
  const bool wide = rows_are_wide(dim, POINTER(void, 0), POINTER(void, 3), POINTER(void, 4), weight) &&
                    is_aligned(POINTER(void, 2));
  for_each_row(rows, dim, [&](auto team, int64_t row) {
    const real *x = POINTER(const real, 3) + row * dim;
    float squares = 0, values[VECTOR], others[VECTOR];
    if (args.slot[4]) {
      const real *residual = POINTER(const real, 4) + row * dim;
      real *sum = POINTER(real, 2) + row * dim;
      FOR_TEAM_VECTORS(i, dim) {
        load_vector(x, i, dim, wide, values);
        load_vector(residual, i, dim, wide, others);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) values[k] += others[k];
        store_vector(sum, i, dim, wide, values);
      }
      x = sum; // as stored, so that the result is that of an addition followed by a normalisation
    }
    // Each thread reads back what it wrote itself.
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(x, i, dim, wide, values);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) squares += values[k] * values[k];
    }
    const float r = 1.0f / sqrtf(sum_over(team, squares) / (float)dim + FLOAT(8));
    if (team.rank() == 0) POINTER(float, 1)[row] = r;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(x, i, dim, wide, values);
      load_vector(weight, i, dim, wide, others);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) values[k] *= r * others[k];
      store_vector(POINTER(real, 0) + row * dim, i, dim, wide, values);
    }
  });
}

// dx = r·(g·w - x·r²·mean(g·w·x)) + direct. A block takes a block of rows: first each warp finds the means of some of
// them, then each thread goes down its columns, which sums the gradient of the weight, Σ over rows of g·x·r, on the
// way. Slots: 0 dx, 1 partials or null: f32 [blocks, dim], 2 g, 3 x, 4 weight, 5 rstd, 6 direct or null, 7 rows, 8 dim,
// 9 rows per block, which are at most 64.
KERNEL(rms_norm_backward) {
  __shared__ float along[64];
  const int64_t rows = INTEGER(7), dim = INTEGER(8), block = INTEGER(9);
  const int64_t start = blockIdx.x * block, count = at_most(block, rows - start);
  const real *g = POINTER(const real, 2) + start * dim, *x = POINTER(const real, 3) + start * dim;
  const real *weight = POINTER(const real, 4), *direct = args.slot[6] ? POINTER(const real, 6) + start * dim : 0;
  const float *rstd = POINTER(const float, 5) + start;
  const bool wide = rows_are_wide(dim, g, x, weight, direct) && is_aligned(POINTER(void, 0));
  const float share = 1.0f / (float)dim;
  float gs[VECTOR], xs[VECTOR], ws[VECTOR], ds[VECTOR];
  for (int64_t row = threadIdx.x / 32; row < count; row += WARPS) {
    const OneWarp team;
    float products = 0;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(g + row * dim, i, dim, wide, gs);
      load_vector(x + row * dim, i, dim, wide, xs);
      load_vector(weight, i, dim, wide, ws);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) products += gs[k] * ws[k] * xs[k];
    }
    products = sum_over(team, products);
    if (team.rank() == 0) along[row] = products * share * rstd[row] * rstd[row] * rstd[row];
  }
  __syncthreads();
  const OneBlock team;
  FOR_TEAM_VECTORS(i, dim) {
    float dw[VECTOR] = {};
    load_vector(weight, i, dim, wide, ws);
    for (int64_t row = 0; row < count; row++) {
      const float r = rstd[row];
      load_vector(g + row * dim, i, dim, wide, gs);
      load_vector(x + row * dim, i, dim, wide, xs);
      if (direct) load_vector(direct + row * dim, i, dim, wide, ds);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) {
        dw[k] += gs[k] * xs[k] * r;
        gs[k] = gs[k] * ws[k] * r - xs[k] * along[row] + (direct ? ds[k] : 0.0f);
      }
      store_vector(POINTER(real, 0) + (start + row) * dim, i, dim, wide, gs);
    }
    if (!args.slot[1]) continue;
    float *partials = POINTER(float, 1) + blockIdx.x * dim;
    for (int k = 0; k < VECTOR; k++)
      if (i + k < dim) partials[i + k] = dw[k];
  }
}
