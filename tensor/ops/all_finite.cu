// Whether no element is an infinity or NaN: in each PART first.
// Slots: 0 out (u8), 1 x, 2 n. Scratch: u32 for each part.

enum { PART = 16384 };

KERNEL(all_finite) {
  const int64_t first = (int64_t)blockIdx.x * PART, n = at_most(PART, INTEGER(2) - first);
  const real *x = POINTER(const real, 1) + first;
  const OneBlock team;
  int bad = 0;
  FOR_TEAM(i, n) bad |= !(fabsf(load(x + i)) < INFINITY);
  bad = __syncthreads_or(bad);
  if (threadIdx.x == 0) ((uint32_t *)context.scratch)[blockIdx.x] = bad != 0;
}

KERNEL(all_finite_parts) {
  const int64_t parts = (INTEGER(2) + PART - 1) / PART;
  const OneBlock team;
  int bad = 0;
  FOR_TEAM(i, parts) bad |= ((const uint32_t *)context.scratch)[i] != 0;
  bad = __syncthreads_or(bad);
  if (threadIdx.x == 0) *POINTER(uint8_t, 0) = !bad;
}
