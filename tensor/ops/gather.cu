// Elements picked along the middle axis of [outer, n, inner] by indices [outer, m, inner], and added back. Also for
// REAL_I32.

// Slots: 0 out, 1 x, 2 indices, 3 outer, 4 n, 5 inner, 6 m.
KERNEL(gather) {
  const int64_t n = INTEGER(4), inner = INTEGER(5), m = INTEGER(6);
  const int32_t *indices = POINTER(const int32_t, 2);
  FOR_GRID(i, INTEGER(3) * m * inner) {
    if (!index_fits(context, indices[i], i, n)) continue;
    const int64_t from = i / (m * inner) * n * inner + indices[i] * inner + i % inner;
    POINTER(real, 0)[i] = POINTER(const real, 1)[from];
  }
}

// Slots: 0 out, 1 indices, 2 source, 3 outer, 4 n, 5 inner, 6 m, 7 add to what `out` holds.
KERNEL(scatter_clear) {
  FOR_GRID(i, INTEGER(3) * INTEGER(4) * INTEGER(5)) POINTER(arith, 0)[i] = 0;
}

// A thread adds up one column, in order. Sums are f32, or i32 for i32.
KERNEL(scatter_sum) {
  const int64_t n = INTEGER(4), inner = INTEGER(5), m = INTEGER(6);
  FOR_GRID(column, INTEGER(3) * inner) {
    const int64_t i = column / inner, j = column % inner;
    arith *out = POINTER(arith, 0) + i * n * inner + j;
#pragma unroll 1
    for (int64_t k = 0; k < m; k++) {
      const int64_t at = (i * m + k) * inner + j, index = POINTER(const int32_t, 1)[at];
      if (index_fits(context, index, at, n)) out[index * inner] += load(POINTER(const real, 2) + at);
    }
  }
}
