// Elements picked along the middle axis of [outer, n, inner] by indices [outer, m, inner], and added back. Also for
// REAL_I32.
#include "along_axis.h"
#include "indices.h"

// Slots: 0 out, 1 x, 2 indices, 3 outer, 4 n, 5 inner, 6 m.
KERNEL(gather) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int32_t *indices = POINTER(const int32_t, 2);
  const int64_t outer = INTEGER(3), n = INTEGER(4), inner = INTEGER(5), m = INTEGER(6);
  if (!indices_fit(indices, outer * m * inner, n)) return INDEX_OUT_OF_RANGE;
#pragma omp parallel for if (outer * m * inner > PARALLEL_WORK)
  for (int64_t row = 0; row < outer * m; row++) {
    const real *from = x + row / m * n * inner;
    const int32_t *at = indices + row * inner;
    real *to = out + row * inner;
    for (int64_t j = 0; j < inner; j++) to[j] = from[at[j] * inner + j];
  }
  return OK;
}

// out: [n, inner] += source: [m, inner] at the indices, in order, for the columns [start, end).
static void add_columns(const int32_t *indices, const real *source, arith *out, int64_t m, int64_t inner, int64_t start,
                        int64_t end) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = start; j < end; j++) out[indices[i * inner + j] * inner + j] += load(source + i * inner + j);
}

// Sums are f32, or i32 for i32.
// Slots: 0 out, 1 indices, 2 source, 3 outer, 4 n, 5 inner, 6 m, 7 add to what `out` holds.
KERNEL(scatter_sum) {
  arith *out = POINTER(arith, 0);
  const int32_t *indices = POINTER(const int32_t, 1);
  const real *source = POINTER(const real, 2);
  const int64_t outer = INTEGER(3), n = INTEGER(4), inner = INTEGER(5), m = INTEGER(6), add = INTEGER(7);
  if (!indices_fit(indices, outer * m * inner, n)) return INDEX_OUT_OF_RANGE;
  if (!add) memset(out, 0, (size_t)(outer * n * inner) * sizeof *out);
  const int64_t stripes = (inner + WIDTH - 1) / WIDTH;
#pragma omp parallel for if (outer * m * inner > PARALLEL_WORK)
  for (int64_t part = 0; part < outer * stripes; part++) {
    const int64_t i = part / stripes, start = part % stripes * WIDTH;
    add_columns(indices + i * m * inner, source + i * m * inner, out + i * n * inner, m, inner, start,
                at_most(inner, start + WIDTH));
  }
  return OK;
}
