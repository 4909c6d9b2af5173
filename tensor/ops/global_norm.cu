// The Euclidean norm of all elements: the squares of each PART in f64, then those in order.
// Slots: 0 out (f32), 1 x, 2 n. Scratch: f64 for each part.

enum { PART = 16384 };

KERNEL(global_norm) {
  const int64_t first = (int64_t)blockIdx.x * PART, n = at_most(PART, INTEGER(2) - first);
  const real *x = POINTER(const real, 1) + first;
  const bool wide = is_aligned(x);
  const OneBlock team;
  double squares = 0;
  FOR_TEAM_VECTORS(i, n) {
    float values[VECTOR];
    load_vector(x, i, n, wide, values);
#pragma unroll
    for (int k = 0; k < VECTOR; k++) squares += (double)values[k] * values[k];
  }
  squares = team.reduce<Sum>(squares);
  if (threadIdx.x == 0) ((double *)context.scratch)[blockIdx.x] = squares;
}

// One block adds the parts.
KERNEL(global_norm_parts) {
  const int64_t parts = (INTEGER(2) + PART - 1) / PART;
  const OneBlock team;
  double total = 0;
  FOR_TEAM(i, parts) total += ((const double *)context.scratch)[i];
  total = team.reduce<Sum>(total);
  if (threadIdx.x == 0) *POINTER(float, 0) = (float)sqrt(total);
}
