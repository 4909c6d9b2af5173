// Root mean square normalisation over the last axis, alone or after adding a residual.
#include "rows.h"

// sum = x + residual where there is a residual, else sum = x;  r = 1/√(mean sum² + eps);  y = sum·r·weight.
// Slots: 0 y, 1 rstd, 2 sum or null, 3 x, 4 residual or null, 5 weight, 6 rows, 7 dim, 8 eps.
KERNEL(rms_norm) {
  real *y = POINTER(real, 0), *sum = POINTER(real, 2);
  float *rstd = POINTER(float, 1);
  const real *x = POINTER(const real, 3), *residual = POINTER(const real, 4), *weight = POINTER(const real, 5);
  const int64_t rows = INTEGER(6), dim = INTEGER(7);
  const float eps = FLOAT(8);
#pragma omp parallel for if (2 * rows * dim > PARALLEL_WORK) // each number is read twice
  for (int64_t row = 0; row < rows; row++) {
    const real *in = x + row * dim;
    real *out = y + row * dim;
    if (residual) {
      const real *other = residual + row * dim;
      real *to = sum + row * dim;
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) store(to + i, load(in + i) + load(other + i));
      in = to; // as stored, so that the result is that of an addition followed by a normalisation
    }
    float squares;
    SUM_OVER_VECTORS(squares, dim, AT(in) * AT(in))
    const float r = 1.0f / sqrtf(squares / (float)dim + eps);
    rstd[row] = r;
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) store(out + i, load(in + i) * r * load(weight + i));
  }
  return OK;
}

// dx = r·(g·w - x·r²·mean(g·w·x)) + direct. The gradient of the weight, Σ over rows of g·x·r, is summed for each block
// of rows here; the blocks are added in order afterwards.
// Slots: 0 dx, 1 partials or null: f32 [blocks, dim], 2 g, 3 x, 4 weight, 5 rstd, 6 direct or null: the gradient that
// reaches x beside the normalisation, 7 rows, 8 dim, 9 rows per block.
KERNEL(rms_norm_backward) {
  real *dx = POINTER(real, 0);
  float *partials = POINTER(float, 1);
  const real *g = POINTER(const real, 2), *x = POINTER(const real, 3), *weight = POINTER(const real, 4);
  const float *rstd = POINTER(const float, 5);
  const real *direct = POINTER(const real, 6);
  const int64_t rows = INTEGER(7), dim = INTEGER(8), block = INTEGER(9);
#pragma omp parallel for if (rows * dim > PARALLEL_WORK)
  for (int64_t first = 0; first < rows; first += block) {
    float *dw = partials ? partials + first / block * dim : NULL;
    if (dw) memset(dw, 0, sizeof(float) * (size_t)dim);
    const int64_t end = first + block < rows ? first + block : rows;
    for (int64_t row = first; row < end; row++) {
      const real *gs = g + row * dim, *xs = x + row * dim;
      real *to = dx + row * dim;
      const float r = rstd[row];
      float products;
      SUM_OVER_VECTORS(products, dim, AT(gs) * AT(weight) * AT(xs))
      const float along = products / (float)dim * r * r * r;
      if (direct) {
        const real *ds = direct + row * dim;
#pragma omp simd
        for (int64_t i = 0; i < dim; i++)
          store(to + i, load(gs + i) * load(weight + i) * r - load(xs + i) * along + load(ds + i));
      } else {
#pragma omp simd
        for (int64_t i = 0; i < dim; i++) store(to + i, load(gs + i) * load(weight + i) * r - load(xs + i) * along);
      }
      if (dw) {
#pragma omp simd
        for (int64_t i = 0; i < dim; i++) dw[i] += load(gs + i) * load(xs + i) * r;
      }
    }
  }
  return OK;
}
