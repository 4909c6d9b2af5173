// Sums over the middle axis of [outer, n, inner], in two steps where it is long: first the sums of PART elements, or of
// ROWS rows, then those. An output depends on its own n numbers and their order alone.
// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner, 5 scale. Scratch: f32 [outer, parts, inner].

enum { PART = 16384, ROWS = 256 };

// Whole rows are summed by blocks, 16 bytes at a time.
KERNEL(sum) {
  const int64_t n = INTEGER(3), parts = gridDim.y;
  const int64_t first = (int64_t)blockIdx.y * PART, count = at_most(PART, n - first);
  const real *x = POINTER(const real, 1) + (int64_t)blockIdx.x * n + first;
  const bool wide = is_aligned(x);
  float total = 0;
  const OneBlock team;
  FOR_TEAM_VECTORS(i, count) {
    float values[VECTOR];
    load_vector(x, i, count, wide, values);
#pragma unroll
    for (int k = 0; k < VECTOR; k++) total += values[k];
  }
  total = sum_over(team, total);
  if (threadIdx.x != 0) return;
  if (parts == 1) store(POINTER(real, 0) + blockIdx.x, total * FLOAT(5));
  else ((float *)context.scratch)[blockIdx.x * parts + blockIdx.y] = total;
}

// A thread sums one column.
KERNEL(sum_columns) {
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4), parts = gridDim.y;
  const int64_t first = (int64_t)blockIdx.y * ROWS, last = at_most(first + ROWS, n);
  FOR_GRID(j, outer * inner) {
    const real *x = POINTER(const real, 1) + j / inner * n * inner + j % inner;
    float total = 0;
    for (int64_t i = first; i < last; i++) total += load(x + i * inner);
    if (parts == 1) store(POINTER(real, 0) + j, total * FLOAT(5));
    else ((float *)context.scratch)[(j / inner * parts + blockIdx.y) * inner + j % inner] = total;
  }
}

// Adds the parts of each output in order.
KERNEL(sum_parts) {
  const int64_t outer = INTEGER(2), n = INTEGER(3), inner = INTEGER(4);
  const int64_t each = inner == 1 ? PART : ROWS, parts = (n + each - 1) / each;
  FOR_GRID(j, outer * inner) {
    const float *part = (const float *)context.scratch + j / inner * parts * inner + j % inner;
    float total = 0;
    for (int64_t i = 0; i < parts; i++) total += part[i * inner];
    store(POINTER(real, 0) + j, total * FLOAT(5));
  }
}
