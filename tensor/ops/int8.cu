// Products with weights of 8 bits: rows of x are quantised too, so that sums of products are sums of whole numbers,
// which are exact in any order; as int8.c. Weights lie as [blocks, groups, OUTPUTS, GROUP].

enum { OUTPUTS = 16, GROUP = 4, ROW_TILE = 8 };

__device__ inline int64_t groups_of(int64_t width) { return (width + GROUP - 1) / GROUP; }

// The largest absolute value, for a whole block; NaN if there is a NaN.
__device__ inline float largest(const real *x, int64_t n) {
  const OneBlock team;
  float top = 0;
  int bad = 0;
  FOR_TEAM(i, n) {
    const float size = fabsf(load(x + i));
    top = Largest::of(size, top);
    bad |= size != size;
  }
  top = max_over(team, top);
  return __syncthreads_or(bad) ? NAN : top;
}
__device__ inline float inverse_of(float top) { return top > 0.0f && top < INFINITY ? 127.0f / top : 0.0f; }

// A block for each output, those that fill the last block of them included.
// Slots: 0 packed, 1 scales, 2 sums, 3 weight: [out, in], 4 out, 5 in.
KERNEL(quantize_rows) {
  const OneBlock team;
  const int64_t out = blockIdx.x, outs = INTEGER(4), width = INTEGER(5), groups = groups_of(width);
  const bool there = out < outs;
  const real *row = POINTER(const real, 3) + (there ? out : 0) * width;
  int8_t *to = POINTER(int8_t, 0) + (out / OUTPUTS * groups * OUTPUTS + out % OUTPUTS) * GROUP;
  const float top = there ? largest(row, width) : 0.0f, inverse = inverse_of(top);
  int sum = 0;
  FOR_TEAM(i, groups * GROUP) {
    const int q = there && i < width ? (int)rintf(load(row + i) * inverse) : 0;
    to[i / GROUP * OUTPUTS * GROUP + i % GROUP] = (int8_t)q;
    sum += q;
  }
  sum = team.reduce<Sum>(sum);
  if (threadIdx.x == 0 && there) POINTER(float, 1)[out] = top / 127.0f, POINTER(int32_t, 2)[out] = sum;
}

// Slots: 0 y, 1 x, 2 packed, 3 scales, 4 sums, 5 rows, 6 out, 7 in. Scratch: f32 [rows] scales, i8 [rows, groups,
// GROUP].
KERNEL(linear_int8_rows) {
  const OneBlock team;
  const int64_t row = blockIdx.x, width = INTEGER(7), bytes = groups_of(width) * GROUP;
  const real *x = POINTER(const real, 1) + row * width;
  int8_t *to = (int8_t *)(context.scratch + 4 * INTEGER(5)) + row * bytes;
  const float top = largest(x, width), inverse = inverse_of(top);
  FOR_TEAM(i, bytes) to[i] = i < width ? (int8_t)(int)rintf(load(x + i) * inverse) : 0;
  if (threadIdx.x == 0) ((float *)context.scratch)[row] = top / 127.0f; // a row that is not finite gives such numbers
}

// A block has OUTPUTS outputs and ROW_TILE rows. Half a warp reads a group of all outputs; halves share out the groups.
KERNEL(linear_int8) {
  __shared__ int parts[THREADS / OUTPUTS][ROW_TILE][OUTPUTS];
  const int64_t rows = INTEGER(5), outs = INTEGER(6), groups = groups_of(INTEGER(7));
  const int64_t first = (int64_t)blockIdx.y * ROW_TILE, count = at_most(ROW_TILE, rows - first);
  const int32_t *weights = POINTER(const int32_t, 2) + blockIdx.x * groups * OUTPUTS;
  const int32_t *x = (const int32_t *)(context.scratch + 4 * rows) + first * groups;
  const int output = threadIdx.x % OUTPUTS, part = threadIdx.x / OUTPUTS;
  int sums[ROW_TILE] = {};
  for (int64_t g = part; g < groups; g += THREADS / OUTPUTS) {
    const int32_t four = weights[g * OUTPUTS + output];
#pragma unroll
    for (int r = 0; r < ROW_TILE; r++)
      if (r < count) sums[r] = __dp4a(four, x[r * groups + g], sums[r]);
  }
  for (int r = 0; r < ROW_TILE; r++) parts[part][r][output] = sums[r];
  __syncthreads();
  for (int i = threadIdx.x; i < ROW_TILE * OUTPUTS; i += blockDim.x) {
    const int r = i / OUTPUTS, o = i % OUTPUTS;
    const int64_t out = (int64_t)blockIdx.x * OUTPUTS + o;
    if (r >= count || out >= outs) continue;
    int sum = 0;
    for (int p = 0; p < THREADS / OUTPUTS; p++) sum += parts[p][r][o];
    const float scale = ((const float *)context.scratch)[first + r] * POINTER(const float, 3)[out];
    store(POINTER(real, 0) + (first + r) * outs + out, (float)sum * scale);
  }
}
