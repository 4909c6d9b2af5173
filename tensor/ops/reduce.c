// Reductions over the middle axis of [outer, n, inner].
// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner, 5 scale.
//
// An output depends on its own n numbers and their order alone: a row is summed in blocks of BLOCK elements, a block in
// LANES interleaved partial sums, and blocks are added in order.
#include "kernel.h"

enum { BLOCK = 8192 };

static float sum_block(const real *x, int64_t n) {
  vf partial = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int lane = 0; lane < LANES; lane++) partial[lane] += load(x + i + lane);
  for (int lane = 0; i + lane < n; lane++) partial[lane] += load(x + i + lane);
  float total = 0;
  for (int lane = 0; lane < LANES; lane++) total += partial[lane];
  return total;
}

// x: [n] → the sum of its elements, blocks in parallel when there are many.
static float sum_row(const real *x, int64_t n) {
  float total = 0;
#pragma omp parallel for ordered schedule(static, 1) if (n > 8 * BLOCK && !omp_in_parallel())
  for (int64_t start = 0; start < n; start += BLOCK) {
    const float block = sum_block(x + start, n - start < BLOCK ? n - start : BLOCK);
#pragma omp ordered
    total += block;
  }
  return total;
}

// x: [n, inner] → out: [inner], for the columns [from, to). A column is added up in the same order as a row is, so that
// one column alone has the same bits as among others.
static void sum_columns(const real *x, real *out, int64_t n, int64_t inner, int64_t from, int64_t to, float scale) {
  enum { WIDTH = 128 };
  for (int64_t start = from; start < to; start += WIDTH) {
    const int64_t columns = to - start < WIDTH ? to - start : WIDTH;
    float total[WIDTH] = {0};
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t rows = n - first < BLOCK ? n - first : BLOCK;
      const int64_t lanes = rows > LANES ? LANES : 0; // one number in each lane: add it right away
      float partial[LANES][WIDTH], block[WIDTH] = {0};
      memset(partial, 0, (size_t)lanes * sizeof partial[0]);
      for (int64_t i = 0; i < rows; i++) {
        const real *row = x + (first + i) * inner + start;
        float *sum = lanes ? partial[i % LANES] : block;
        for (int64_t j = 0; j < columns; j++) sum[j] += load(row + j);
      }
      for (int64_t lane = 0; lane < lanes; lane++)
        for (int64_t j = 0; j < columns; j++) block[j] += partial[lane][j];
      for (int64_t j = 0; j < columns; j++) total[j] += block[j];
    }
    for (int64_t j = 0; j < columns; j++) store(out + start + j, total[j] * scale);
  }
}

KERNEL(sum) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4);
  const float scale = FLOAT(5);
  if (inner == 1) {
#pragma omp parallel for if (outer > 1 && outer * n > PARALLEL_WORK)
    for (int64_t i = 0; i < outer; i++) store(out + i, sum_row(x + i * n, n) * scale);
    return OK;
  }
  enum { STRIPE = 1024 };
  const int64_t stripes = (inner + STRIPE - 1) / STRIPE;
#pragma omp parallel for if (outer * n * inner > PARALLEL_WORK)
  for (int64_t part = 0; part < outer * stripes; part++) {
    const int64_t i = part / stripes, from = part % stripes * STRIPE;
    sum_columns(x + i * n * inner, out + i * inner, n, inner, from, from + STRIPE < inner ? from + STRIPE : inner, scale);
  }
  return OK;
}
