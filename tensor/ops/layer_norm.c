// Layer normalisation over the last axis.
#include "rows.h"

// y = (x - mean)·r·(shift + weight) + bias with r = 1/√(mean (x - mean)² + eps); shift is 1 for weights stored around
// 0, else 0.
// Slots: 0 y, 1 mean, 2 rstd, 3 x, 4 weight, 5 bias, 6 rows, 7 dim, 8 shift, 9 eps.
KERNEL(layer_norm) {
  real *y = POINTER(real, 0);
  float *means = POINTER(float, 1), *rstd = POINTER(float, 2);
  const real *x = POINTER(const real, 3), *weight = POINTER(const real, 4), *bias = POINTER(const real, 5);
  const int64_t rows = INTEGER(6), dim = INTEGER(7);
  const float shift = FLOAT(8), eps = FLOAT(9);
#pragma omp parallel for if (rows * dim > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    const real *in = x + row * dim;
    real *out = y + row * dim;
    float sum, squares;
    SUM_OVER_VECTORS(sum, dim, AT(in))
    const float mean = sum / (float)dim;
    SUM_OVER_VECTORS(squares, dim, (AT(in) - mean) * (AT(in) - mean))
    const float r = 1.0f / sqrtf(squares / (float)dim + eps);
    means[row] = mean;
    rstd[row] = r;
#pragma omp simd
    for (int64_t i = 0; i < dim; i++)
      store(out + i, (load(in + i) - mean) * r * (shift + load(weight + i)) + load(bias + i));
  }
  return OK;
}

// With n = (x - mean)·r and h = g·(shift + weight): dx = r·(h - mean(h) - n·mean(h·n)). The gradients of weight and
// bias, Σ over rows of g·n and of g, are summed for each block of rows here; the blocks are added in order afterwards.
// Slots: 0 dx, 1 and 2 partials of weight and bias or null: f32 [blocks, dim], 3 g, 4 x, 5 weight, 6 mean, 7 rstd,
// 8 rows, 9 dim, 10 rows per block, 11 shift.
KERNEL(layer_norm_backward) {
  real *dx = POINTER(real, 0);
  float *weightPartials = POINTER(float, 1), *biasPartials = POINTER(float, 2);
  const real *g = POINTER(const real, 3), *x = POINTER(const real, 4), *weight = POINTER(const real, 5);
  const float *means = POINTER(const float, 6), *rstd = POINTER(const float, 7);
  const int64_t rows = INTEGER(8), dim = INTEGER(9), block = INTEGER(10);
  const float shift = FLOAT(11);
#pragma omp parallel for if (rows * dim > PARALLEL_WORK)
  for (int64_t first = 0; first < rows; first += block) {
    float *dw = weightPartials ? weightPartials + first / block * dim : NULL;
    float *db = weightPartials ? biasPartials + first / block * dim : NULL;
    if (dw) memset(dw, 0, sizeof(float) * (size_t)dim);
    if (db) memset(db, 0, sizeof(float) * (size_t)dim);
    const int64_t end = first + block < rows ? first + block : rows;
    for (int64_t row = first; row < end; row++) {
      const real *gs = g + row * dim, *xs = x + row * dim;
      real *to = dx + row * dim;
      const float mean = means[row], r = rstd[row];
      float sum, products;
      SUM_OVER_VECTORS(sum, dim, AT(gs) * (shift + AT(weight)))
      SUM_OVER_VECTORS(products, dim, AT(gs) * (shift + AT(weight)) * (AT(xs) - mean))
      const float level = sum / (float)dim * r, along = products / (float)dim * r * r * r;
#pragma omp simd
      for (int64_t i = 0; i < dim; i++)
        store(to + i, load(gs + i) * (shift + load(weight + i)) * r - level - (load(xs + i) - mean) * along);
      if (dw) {
#pragma omp simd
        for (int64_t i = 0; i < dim; i++) {
          dw[i] += load(gs + i) * (load(xs + i) - mean) * r;
          db[i] += load(gs + i);
        }
      }
    }
  }
  return OK;
}
