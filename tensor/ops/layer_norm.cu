// Layer normalisation over the last axis; as layer_norm.c.

// Slots: 0 y, 1 mean, 2 rstd, 3 x, 4 weight, 5 bias, 6 rows, 7 dim, 8 shift, 9 eps.
KERNEL(layer_norm) {
  const int64_t rows = INTEGER(6), dim = INTEGER(7);
  const float shift = FLOAT(8);
  const real *weight = POINTER(const real, 4), *bias = POINTER(const real, 5);
  const bool wide = rows_are_wide(dim, POINTER(void, 0), POINTER(void, 3), weight, bias);
  for_each_row(rows, dim, [&](auto team, int64_t row) {
    const real *x = POINTER(const real, 3) + row * dim;
    float xs[VECTOR], ws[VECTOR], bs[VECTOR], sum = 0, squares = 0;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(x, i, dim, wide, xs);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) sum += xs[k];
    }
    const float mean = sum_over(team, sum) / (float)dim;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(x, i, dim, wide, xs);
#pragma unroll
      for (int k = 0; k < VECTOR; k++)
        if (i + k < dim) squares += (xs[k] - mean) * (xs[k] - mean);
    }
    const float r = 1.0f / sqrtf(sum_over(team, squares) / (float)dim + FLOAT(9));
    if (team.rank() == 0) POINTER(float, 1)[row] = mean, POINTER(float, 2)[row] = r;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(x, i, dim, wide, xs);
      load_vector(weight, i, dim, wide, ws);
      load_vector(bias, i, dim, wide, bs);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) xs[k] = (xs[k] - mean) * r * (shift + ws[k]) + bs[k];
      store_vector(POINTER(real, 0) + row * dim, i, dim, wide, xs);
    }
  });
}

// With n = (x - mean)·r and h = g·(shift + weight): dx = r·(h - mean(h) - n·mean(h·n)). A block takes a block of rows,
// as in rms_norm.cu.
// Slots: 0 dx, 1 and 2 partials of weight and bias or null: f32 [blocks, dim], 3 g, 4 x, 5 weight, 6 mean, 7 rstd,
// 8 rows, 9 dim, 10 rows per block, which are at most 64, 11 shift.
KERNEL(layer_norm_backward) {
  __shared__ float level[64], along[64];
  const int64_t rows = INTEGER(8), dim = INTEGER(9), block = INTEGER(10);
  const int64_t start = blockIdx.x * block, count = at_most(block, rows - start);
  const float shift = FLOAT(11);
  const real *g = POINTER(const real, 3) + start * dim, *x = POINTER(const real, 4) + start * dim;
  const real *weight = POINTER(const real, 5);
  const float *means = POINTER(const float, 6) + start, *rstd = POINTER(const float, 7) + start;
  const bool wide = rows_are_wide(dim, g, x, weight, POINTER(void, 0));
  const float share = 1.0f / (float)dim;
  float gs[VECTOR], xs[VECTOR], ws[VECTOR];
  for (int64_t row = threadIdx.x / 32; row < count; row += WARPS) {
    const OneWarp team;
    const float mean = means[row], r = rstd[row];
    float sum = 0, products = 0;
    FOR_TEAM_VECTORS(i, dim) {
      load_vector(g + row * dim, i, dim, wide, gs);
      load_vector(x + row * dim, i, dim, wide, xs);
      load_vector(weight, i, dim, wide, ws);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) {
        const float h = gs[k] * (shift + ws[k]); // 0 beyond the end
        sum += h;
        products += h * (xs[k] - mean);
      }
    }
    sum = sum_over(team, sum), products = sum_over(team, products);
    if (team.rank() == 0) level[row] = sum * share * r, along[row] = products * share * r * r * r;
  }
  __syncthreads();
  const OneBlock team;
  FOR_TEAM_VECTORS(i, dim) {
    float dw[VECTOR] = {}, db[VECTOR] = {};
    load_vector(weight, i, dim, wide, ws);
    for (int64_t row = 0; row < count; row++) {
      const float mean = means[row], r = rstd[row];
      load_vector(g + row * dim, i, dim, wide, gs);
      load_vector(x + row * dim, i, dim, wide, xs);
#pragma unroll
      for (int k = 0; k < VECTOR; k++) {
        dw[k] += gs[k] * (xs[k] - mean) * r;
        db[k] += gs[k];
        gs[k] = gs[k] * (shift + ws[k]) * r - level[row] - (xs[k] - mean) * along[row];
      }
      store_vector(POINTER(real, 0) + (start + row) * dim, i, dim, wide, gs);
    }
    if (!args.slot[1]) continue;
    float *weight_partials = POINTER(float, 1) + blockIdx.x * dim;
    float *bias_partials = POINTER(float, 2) + blockIdx.x * dim;
    for (int k = 0; k < VECTOR; k++)
      if (i + k < dim) weight_partials[i + k] = dw[k], bias_partials[i + k] = db[k];
  }
}
