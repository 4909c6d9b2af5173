// Softmax, log-softmax and log-sum-exp along the middle axis of [outer, n, inner], and their gradients.

enum { SOFTMAX, LOG_SOFTMAX, LOG_SUM_EXP };

// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner.
template <int kind> __device__ inline void forward(const Slots &args) {
  const int64_t n = INTEGER(3);
  along_axis(INTEGER(2), n, INTEGER(4), [&](auto team, int64_t first, int64_t step, int64_t result) {
    const real *x = POINTER(const real, 1) + first;
    float m = -INFINITY;
    FOR_TEAM(i, n) m = Largest::of(m, load(x + i * step));
    m = max_over(team, m);
    // Rows of nothing but infinities are shifted by 0, where the log of a sum must not become NaN.
    if (kind == LOG_SUM_EXP && fabsf(m) == INFINITY) m = 0;
    float sum = 0;
    FOR_TEAM(i, n) sum += expf(load(x + i * step) - m);
    sum = sum_over(team, sum);
    if (kind == LOG_SUM_EXP) {
      if (team.rank() == 0) store(POINTER(real, 0) + result, m + logf(sum));
      return;
    }
    real *out = POINTER(real, 0) + first;
    const float scale = 1 / sum, log_sum = logf(sum);
    FOR_TEAM(i, n) {
      const float z = load(x + i * step) - m;
      store(out + i * step, kind == SOFTMAX ? expf(z) * scale : z - log_sum);
    }
  });
}

KERNEL(softmax) { forward<SOFTMAX>(args); }
KERNEL(log_softmax) { forward<LOG_SOFTMAX>(args); }
KERNEL(log_sum_exp) { forward<LOG_SUM_EXP>(args); }

// dx = y·(g − Σ y·g) for softmax, g − e^y·Σ g for its logarithm.
// Slots: 0 out, 1 y, 2 g, 3 outer, 4 n, 5 inner.
template <int kind> __device__ inline void backward(const Slots &args) {
  const int64_t n = INTEGER(4);
  along_axis(INTEGER(3), n, INTEGER(5), [&](auto team, int64_t first, int64_t step, int64_t) {
    const real *y = POINTER(const real, 1) + first, *g = POINTER(const real, 2) + first;
    real *out = POINTER(real, 0) + first;
    float total = 0;
    FOR_TEAM(i, n) total += load(g + i * step) * (kind == SOFTMAX ? load(y + i * step) : 1.0f);
    total = sum_over(team, total);
    FOR_TEAM(i, n) {
      const float at = load(y + i * step), slope = load(g + i * step);
      store(out + i * step, kind == SOFTMAX ? at * (slope - total) : slope - expf(at) * total);
    }
  });
}

KERNEL(softmax_backward) { backward<SOFTMAX>(args); }
KERNEL(log_softmax_backward) { backward<LOG_SOFTMAX>(args); }

// dx = e^(x − y)·g
// Slots: 0 out, 1 x, 2 y, 3 g, 4 outer, 5 n, 6 inner.
KERNEL(log_sum_exp_backward) {
  const int64_t n = INTEGER(5);
  along_axis(INTEGER(4), n, INTEGER(6), [&](auto team, int64_t first, int64_t step, int64_t result) {
    const real *x = POINTER(const real, 1) + first;
    const float y = load(POINTER(const real, 2) + result), g = load(POINTER(const real, 3) + result);
    FOR_TEAM(i, n) store(POINTER(real, 0) + first + i * step, expf(load(x + i * step) - y) * g);
  });
}
