// Distances between rows, and their gradients; as distance.c.

// error = Σ (x - y)², square = Σ y².
// Slots: 0 error, 1 square (f32 [rows] each), 2 x, 3 y, 4 rows, 5 n.
KERNEL(squared_error) {
  const int64_t n = INTEGER(5);
  for_each_row(INTEGER(4), n, [&](auto team, int64_t row) {
    const real *x = POINTER(const real, 2) + row * n, *y = POINTER(const real, 3) + row * n;
    float error = 0, square = 0;
    FOR_TEAM(i, n) {
      const float a = load(x + i), b = load(y + i);
      error += (a - b) * (a - b);
      square += b * b;
    }
    error = sum_over(team, error), square = sum_over(team, square);
    if (team.rank() == 0) POINTER(float, 0)[row] = error, POINTER(float, 1)[row] = square;
  });
}

// dx = 2·(x - y)·g.
// Slots: 0 dx, 1 x, 2 y, 3 g (f32 [rows]), 4 rows, 5 n.
KERNEL(squared_error_backward) {
  const int64_t n = INTEGER(5);
  for_each_row(INTEGER(4), n, [&](auto team, int64_t row) {
    const float slope = 2 * POINTER(const float, 3)[row];
    FOR_TEAM(i, n) {
      const int64_t at = row * n + i;
      store(POINTER(real, 0) + at, slope * (load(POINTER(const real, 1) + at) - load(POINTER(const real, 2) + at)));
    }
  });
}

// cos = x·y / (max(‖x‖, eps)·max(‖y‖, eps)).
struct Angle {
  float cosine, norm_x, norm_y; // norms no less than eps
  bool long_x;                  // whether ‖x‖ is more than eps
};

template <class Team>
__device__ inline Angle angle_between(Team team, const real *x, const real *y, int64_t n, float eps) {
  float xx = 0, yy = 0, xy = 0;
  FOR_TEAM(i, n) {
    const float a = load(x + i), b = load(y + i);
    xx += a * a, yy += b * b, xy += a * b;
  }
  const float norm_x = sqrtf(sum_over(team, xx)), norm_y = sqrtf(sum_over(team, yy));
  const float x_safe = norm_x > eps ? norm_x : eps, y_safe = norm_y > eps ? norm_y : eps;
  return {sum_over(team, xy) / (x_safe * y_safe), x_safe, y_safe, norm_x > eps};
}

// distance = 1 - cos.
// Slots: 0 distance (f32 [rows]), 1 x, 2 y, 3 rows, 4 n, 5 eps.
KERNEL(cosine_distance) {
  const int64_t n = INTEGER(4);
  for_each_row(INTEGER(3), n, [&](auto team, int64_t row) {
    const real *x = POINTER(const real, 1) + row * n, *y = POINTER(const real, 2) + row * n;
    const Angle angle = angle_between(team, x, y, n, FLOAT(5));
    if (team.rank() == 0) POINTER(float, 0)[row] = 1 - angle.cosine;
  });
}

// dx = g·(cos·x/‖x‖² - y/(‖x‖·‖y‖)), without the first term where ‖x‖ <= eps and the divisor is constant.
// Slots: 0 dx, 1 x, 2 y, 3 g (f32 [rows]), 4 rows, 5 n, 6 eps.
KERNEL(cosine_distance_backward) {
  const int64_t n = INTEGER(5);
  for_each_row(INTEGER(4), n, [&](auto team, int64_t row) {
    const real *x = POINTER(const real, 1) + row * n, *y = POINTER(const real, 2) + row * n;
    const float g = POINTER(const float, 3)[row];
    const Angle angle = angle_between(team, x, y, n, FLOAT(6));
    const float along_x = angle.long_x ? g * angle.cosine / (angle.norm_x * angle.norm_x) : 0;
    const float along_y = g / (angle.norm_x * angle.norm_y);
    FOR_TEAM(i, n) store(POINTER(real, 0) + row * n + i, along_x * load(x + i) - along_y * load(y + i));
  });
}
