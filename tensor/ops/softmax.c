// Softmax, log-softmax and log-sum-exp along the middle axis of [outer, n, inner], and their gradients.
//
// A long row is reduced in LANES interleaved partial results. Short rows are turned into columns first, so that vectors
// are full. Which of the two happens depends on n alone.
#include "along_axis.h"
#include "math.h"

enum { SHORT = 2 * LANES };

// What the three compute from x, its maximum m and the sum s of exp(x - m).
enum { SOFTMAX, LOG_SOFTMAX, LOG_SUM_EXP };

// Rows of nothing but infinities are shifted by 0, where the log of a sum must not become NaN.
static inline float finite_or_zero(float x) { return __builtin_fabsf(x) < INFINITY ? x : 0; }

// e^(x − m), where x exceeds m only if m was infinite and is now 0.
static inline float exp_below(float x, float m, int kind) {
  return kind == LOG_SUM_EXP ? exp_f32(x - m) : exp_nonpositive_f32(x - m);
}

// --- Rows: x is [n] ---

static float row_max(const real *x, int64_t n) {
  float partial[LANES];
  for (int lane = 0; lane < LANES; lane++) partial[lane] = -INFINITY;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++) {
      const float value = load(x + i + lane);
      partial[lane] = value > partial[lane] ? value : partial[lane];
    }
  for (int lane = 0; i + lane < n; lane++) {
    const float value = load(x + i + lane);
    partial[lane] = value > partial[lane] ? value : partial[lane];
  }
  for (int lane = 1; lane < LANES; lane++) partial[0] = partial[lane] > partial[0] ? partial[lane] : partial[0];
  return partial[0];
}

// Returns the sum of an expression of `i` over i from 0 to n.
#define LANE_SUM(expression)                                                                                          \
  float partial[LANES] = {0};                                                                                         \
  int64_t start = 0;                                                                                                  \
  for (; start + LANES <= n; start += LANES)                                                                          \
    _Pragma("omp simd") for (int lane = 0; lane < LANES; lane++) {                                                    \
      const int64_t i = start + lane;                                                                                 \
      partial[lane] += expression;                                                                                    \
    }                                                                                                                 \
  for (int lane = 0; start + lane < n; lane++) {                                                                      \
    const int64_t i = start + lane;                                                                                   \
    partial[lane] += expression;                                                                                      \
  }                                                                                                                   \
  float total = 0;                                                                                                    \
  for (int lane = 0; lane < LANES; lane++) total += partial[lane];                                                    \
  return total;

static float row_sum(const real *x, int64_t n) { LANE_SUM(load(x + i)) }
static float row_dot(const real *x, const real *y, int64_t n) { LANE_SUM(load(x + i) * load(y + i)) }

static inline float row_sum_exp(const real *x, float m, int64_t n, int kind) {
  LANE_SUM(exp_below(load(x + i), m, kind))
}

// out = e^(x − m). Returns the sum of all.
static float row_exp(const real *x, float m, float *out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = exp_below(load(x + i), m, SOFTMAX);
  LANE_SUM(out[i])
}

// Room in f32 for the exponentials of a row: the output where it is f32, else `held`, or null where that is too short.
enum { HELD = 4096 };
static inline float *room_for(real *out, float *held, int64_t n) {
#if defined(REAL_BF16)
  (void)out;
  return n <= HELD ? held : NULL;
#else
  (void)held, (void)n;
  return out;
#endif
}

static void softmax_of_row(const real *x, real *out, int64_t n) {
  float held[HELD];
  float *e = room_for(out, held, n);
  const float m = row_max(x, n);
  const float scale = 1 / (e ? row_exp(x, m, e, n) : row_sum_exp(x, m, n, SOFTMAX));
  if (e)
    for (int64_t i = 0; i < n; i++) store(out + i, e[i] * scale);
  else
    for (int64_t i = 0; i < n; i++) store(out + i, exp_below(load(x + i), m, SOFTMAX) * scale);
}

static inline void softmax_row(const real *x, real *out, int64_t n, int kind) {
  if (kind == SOFTMAX) {
    softmax_of_row(x, out, n);
    return;
  }
  const float m = kind == LOG_SUM_EXP ? finite_or_zero(row_max(x, n)) : row_max(x, n);
  const float log_s = log_f32(row_sum_exp(x, m, n, kind));
  if (kind == LOG_SOFTMAX)
    for (int64_t i = 0; i < n; i++) store(out + i, load(x + i) - m - log_s);
  else
    store(out, m + log_s);
}

// --- Columns: x is [n, step], of which the first `columns` count ---

static inline void softmax_columns(const real *x, real *out, int64_t n, int64_t step, int64_t columns, int kind) {
  float m[WIDTH], s[WIDTH], log_s[WIDTH];
  for (int64_t j = 0; j < columns; j++) m[j] = -INFINITY, s[j] = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < columns; j++) {
      const float value = load(x + i * step + j);
      m[j] = value > m[j] ? value : m[j];
    }
  if (kind == LOG_SUM_EXP)
    for (int64_t j = 0; j < columns; j++) m[j] = finite_or_zero(m[j]);
  // Where the output is f32 it holds the exponentials of softmax until they are divided.
  const int held = kind == SOFTMAX && sizeof(real) == sizeof(float);
  for (int64_t i = 0; i < n; i++)
#pragma omp simd
    for (int64_t j = 0; j < columns; j++) {
      const float e = exp_below(load(x + i * step + j), m[j], kind);
      if (held) store(out + i * step + j, e);
      s[j] += e;
    }
  for (int64_t j = 0; j < columns; j++) log_s[j] = log_f32(s[j]), s[j] = 1 / s[j];
  if (kind == LOG_SUM_EXP)
    for (int64_t j = 0; j < columns; j++) store(out + j, m[j] + log_s[j]);
  else
    for (int64_t i = 0; i < n; i++) {
      const real *from = x + i * step;
      real *to = out + i * step;
      if (held)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) store(to + j, load(to + j) * s[j]);
      else if (kind == SOFTMAX)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) store(to + j, exp_below(load(from + j), m[j], kind) * s[j]);
      else
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) store(to + j, load(from + j) - m[j] - log_s[j]);
    }
}

// x: [rows, n] with rows <= WIDTH and n < SHORT, by way of its transpose.
static inline void softmax_short_rows(const real *x, real *out, int64_t rows, int64_t n, int kind) {
  real tile[SHORT * WIDTH];
  for (int64_t j = 0; j < rows; j++)
    for (int64_t i = 0; i < n; i++) tile[i * WIDTH + j] = x[j * n + i];
  if (kind == LOG_SUM_EXP) {
    softmax_columns(tile, out, n, WIDTH, rows, kind);
    return;
  }
  softmax_columns(tile, tile, n, WIDTH, rows, kind);
  for (int64_t j = 0; j < rows; j++)
    for (int64_t i = 0; i < n; i++) out[j * n + i] = tile[i * WIDTH + j];
}

// A macro, so that the compiler knows the kind inside the parallel loops.
// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner.
#define FORWARD(kind)                                                                                                 \
  real *out = POINTER(real, 0);                                                                                       \
  const real *x = POINTER(const real, 1);                                                                             \
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4);                                               \
  if (inner == 1 && n < SHORT) {                                                                                      \
    const int64_t width = kind == LOG_SUM_EXP ? 1 : n; /* of a row of the output */                                   \
    _Pragma("omp parallel for if (outer * n > PARALLEL_WORK)") for (int64_t row = 0; row < outer; row += WIDTH)       \
      softmax_short_rows(x + row * n, out + row * width, at_most(WIDTH, outer - row), n, kind);                       \
    return OK;                                                                                                        \
  }                                                                                                                   \
  ALONG_AXIS(softmax_row(x + first, out + (kind == LOG_SUM_EXP ? result : first), n, kind),                           \
             softmax_columns(x + first, out + (kind == LOG_SUM_EXP ? result : first), n, inner, columns, kind))       \
  return OK;

KERNEL(softmax) { FORWARD(SOFTMAX) }
KERNEL(log_softmax) { FORWARD(LOG_SOFTMAX) }
KERNEL(log_sum_exp) { FORWARD(LOG_SUM_EXP) }

// --- Gradients, from the output y and its gradient g ---

// dx = y·(g − Σ y·g)
static inline float softmax_slope(float y, float g, float dot) { return y * (g - dot); }
// dx = g − e^y·Σ g
static inline float log_softmax_slope(float y, float g, float sum) { return g - exp_f32(y) * sum; }

static inline void backward_row(const real *y, const real *g, real *out, int64_t n, int kind) {
  const float total = kind == SOFTMAX ? row_dot(y, g, n) : row_sum(g, n);
  if (kind == SOFTMAX)
#pragma omp simd
    for (int64_t i = 0; i < n; i++) store(out + i, softmax_slope(load(y + i), load(g + i), total));
  else
#pragma omp simd
    for (int64_t i = 0; i < n; i++) store(out + i, log_softmax_slope(load(y + i), load(g + i), total));
}

static inline void backward_columns(const real *y, const real *g, real *out, int64_t n, int64_t step, int64_t columns,
                                    int kind) {
  float total[WIDTH] = {0};
  for (int64_t i = 0; i < n * step; i += step)
    for (int64_t j = 0; j < columns; j++) total[j] += load(g + i + j) * (kind == SOFTMAX ? load(y + i + j) : 1);
  for (int64_t i = 0; i < n * step; i += step)
    if (kind == SOFTMAX)
#pragma omp simd
      for (int64_t j = 0; j < columns; j++)
        store(out + i + j, softmax_slope(load(y + i + j), load(g + i + j), total[j]));
    else
#pragma omp simd
      for (int64_t j = 0; j < columns; j++)
        store(out + i + j, log_softmax_slope(load(y + i + j), load(g + i + j), total[j]));
}

// Slots: 0 out, 1 y, 2 g, 3 outer, 4 n, 5 inner.
#define BACKWARD(kind)                                                                                                \
  real *out = POINTER(real, 0);                                                                                       \
  const real *y = POINTER(const real, 1), *g = POINTER(const real, 2);                                                \
  const int64_t outer = INTEGER(3), n = INTEGER(4), inner = INTEGER(5);                                               \
  ALONG_AXIS(backward_row(y + first, g + first, out + first, n, kind),                                                \
             backward_columns(y + first, g + first, out + first, n, inner, columns, kind))                            \
  return OK;

KERNEL(softmax_backward) { BACKWARD(SOFTMAX) }
KERNEL(log_softmax_backward) { BACKWARD(LOG_SOFTMAX) }

// dx = e^(x − y)·g
static inline float log_sum_exp_slope(float x, float y, float g) { return exp_f32(x - y) * g; }

static void spread_row(const real *x, float y, float g, real *out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) store(out + i, log_sum_exp_slope(load(x + i), y, g));
}

static void spread_columns(const real *x, const real *y, const real *g, real *out, int64_t n, int64_t step,
                           int64_t columns) {
  for (int64_t i = 0; i < n * step; i += step)
#pragma omp simd
    for (int64_t j = 0; j < columns; j++)
      store(out + i + j, log_sum_exp_slope(load(x + i + j), load(y + j), load(g + j)));
}

// Slots: 0 out, 1 x, 2 y, 3 g, 4 outer, 5 n, 6 inner.
KERNEL(log_sum_exp_backward) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1), *y = POINTER(const real, 2), *g = POINTER(const real, 3);
  const int64_t outer = INTEGER(4), n = INTEGER(5), inner = INTEGER(6);
  ALONG_AXIS(spread_row(x + first, load(y + result), load(g + result), out + first, n),
             spread_columns(x + first, y + result, g + result, out + first, n, inner, columns))
  return OK;
}
