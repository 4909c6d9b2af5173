// Distances between rows, and their gradients.
#include "rows.h"

// error = Σ (x - y)², square = Σ y².
// Slots: 0 error, 1 square (f32 [rows] each), 2 x, 3 y, 4 rows, 5 n.
KERNEL(squared_error) {
  float *error = POINTER(float, 0), *square = POINTER(float, 1);
  const real *x = POINTER(const real, 2), *y = POINTER(const real, 3);
  const int64_t rows = INTEGER(4), n = INTEGER(5);
#pragma omp parallel for if (rows * n > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    const real *a = x + row * n, *b = y + row * n;
    SUM_OVER_ROW(error[row], n, (load(a + i) - load(b + i)) * (load(a + i) - load(b + i)))
    SUM_OVER_ROW(square[row], n, load(b + i) * load(b + i))
  }
  return OK;
}

// dx = 2·(x - y)·g.
// Slots: 0 dx, 1 x, 2 y, 3 g (f32 [rows]), 4 rows, 5 n.
KERNEL(squared_error_backward) {
  real *dx = POINTER(real, 0);
  const real *x = POINTER(const real, 1), *y = POINTER(const real, 2);
  const float *g = POINTER(const float, 3);
  const int64_t rows = INTEGER(4), n = INTEGER(5);
#pragma omp parallel for if (rows * n > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    const real *a = x + row * n, *b = y + row * n;
    real *out = dx + row * n;
    const float slope = 2 * g[row];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) store(out + i, slope * (load(a + i) - load(b + i)));
  }
  return OK;
}

// cos = x·y / (max(‖x‖, eps)·max(‖y‖, eps)).
typedef struct {
  float cosine, norm_x, norm_y; // norms no less than eps
  int long_x;                   // whether ‖x‖ is more than eps
} Angle;

static Angle angle_between(const real *x, const real *y, int64_t n, float eps) {
  float xx, yy, xy;
  SUM_OVER_ROW(xx, n, load(x + i) * load(x + i))
  SUM_OVER_ROW(yy, n, load(y + i) * load(y + i))
  SUM_OVER_ROW(xy, n, load(x + i) * load(y + i))
  const float norm_x = sqrtf(xx), norm_y = sqrtf(yy);
  const float x_safe = norm_x > eps ? norm_x : eps, y_safe = norm_y > eps ? norm_y : eps;
  return (Angle){xy / (x_safe * y_safe), x_safe, y_safe, norm_x > eps};
}

// distance = 1 - cos.
// Slots: 0 distance (f32 [rows]), 1 x, 2 y, 3 rows, 4 n, 5 eps.
KERNEL(cosine_distance) {
  float *distance = POINTER(float, 0);
  const real *x = POINTER(const real, 1), *y = POINTER(const real, 2);
  const int64_t rows = INTEGER(3), n = INTEGER(4);
  const float eps = FLOAT(5);
#pragma omp parallel for if (rows * n > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) distance[row] = 1 - angle_between(x + row * n, y + row * n, n, eps).cosine;
  return OK;
}

// dx = g·(cos·x/‖x‖² - y/(‖x‖·‖y‖)), without the first term where ‖x‖ <= eps and the divisor is constant.
// Slots: 0 dx, 1 x, 2 y, 3 g (f32 [rows]), 4 rows, 5 n, 6 eps.
KERNEL(cosine_distance_backward) {
  real *dx = POINTER(real, 0);
  const real *x = POINTER(const real, 1), *y = POINTER(const real, 2);
  const float *g = POINTER(const float, 3);
  const int64_t rows = INTEGER(4), n = INTEGER(5);
  const float eps = FLOAT(6);
#pragma omp parallel for if (rows * n > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    const real *a = x + row * n, *b = y + row * n;
    real *out = dx + row * n;
    const Angle angle = angle_between(a, b, n, eps);
    const float along_x = angle.long_x ? g[row] * angle.cosine / (angle.norm_x * angle.norm_x) : 0;
    const float along_y = g[row] / (angle.norm_x * angle.norm_y);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) store(out + i, along_x * load(a + i) - along_y * load(b + i));
  }
  return OK;
}
