// Products with weights that lie in the order in which they are read: [panels, in, PANEL outputs].

#if defined(REAL_F32)

enum { PANEL = 32, HALF = PANEL / 2, BLOCK = 256, ROW_TILE = 8 };

// Slots: 0 packed, 1 weight: [out, in], 2 out, 3 in, 4 whether outputs are gated: then a panel has HALF of the first half of
// them, the gates, and HALF of the others.
KERNEL(pack_rows) {
  const int64_t outs = INTEGER(2), width = INTEGER(3), panels = (outs + PANEL - 1) / PANEL;
  const bool gated = INTEGER(4) != 0;
  FOR_GRID(at, panels * width * PANEL) {
    const int64_t panel = at / (width * PANEL), lane = at % PANEL, i = at / PANEL % width;
    const int64_t unit = gated ? panel * HALF + lane % HALF : panel * PANEL + lane;
    const bool inside = unit < (gated ? outs / 2 : outs);
    const int64_t out = gated && lane >= HALF ? outs / 2 + unit : unit;
    POINTER(float, 0)[at] = inside ? POINTER(const float, 1)[out * width + i] : 0.0f;
  }
}

__device__ inline float sum_of_parts(const float (*parts)[ROW_TILE][PANEL], int row, int lane) {
  float sum = 0;
  for (int part = 0; part < WARPS; part++) sum += parts[part][row][lane];
  return sum;
}

// A block has a panel and ROW_TILE rows. A lane has an output; the warps share out the inputs, and their sums are added
// in order.
// Slots: 0 y, 1 x, 2 packed, 3 rows, 4 columns of y, 5 in, 6 whether outputs are gated: then y = silu(gate)·up.
KERNEL(linear_packed) {
  __shared__ float parts[WARPS][ROW_TILE][PANEL];
  const int64_t rows = INTEGER(3), outs = INTEGER(4), width = INTEGER(5);
  const int64_t first = (int64_t)blockIdx.y * ROW_TILE, count = at_most(ROW_TILE, rows - first);
  const float *weights = POINTER(const float, 2) + blockIdx.x * width * PANEL;
  const float *x = POINTER(const float, 1) + first * width;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float sums[ROW_TILE] = {};
  for (int64_t i = warp; i < width; i += WARPS) {
    const float weight = weights[i * PANEL + lane];
#pragma unroll
    for (int r = 0; r < ROW_TILE; r++)
      if (r < count) sums[r] += weight * x[r * width + i];
  }
  for (int r = 0; r < ROW_TILE; r++) parts[warp][r][lane] = sums[r];
  __syncthreads();
  const int r = warp; // as many warps as rows
  const bool gated = INTEGER(6) != 0;
  const int each = gated ? HALF : PANEL;
  const int64_t out = (int64_t)blockIdx.x * each + lane;
  if (r >= count || lane >= each || out >= outs) return;
  const float sum = sum_of_parts(parts, r, lane);
  POINTER(float, 0)[(first + r) * outs + out] = gated ? sum * sigmoid_f32(sum) * sum_of_parts(parts, r, lane + HALF) : sum;
}

// A warp has a block of BLOCK outputs of a row; slots as those of linear_packed.
// 7 maxima: [rows, blocks].
KERNEL(linear_packed_maxima) {
  const int64_t outs = INTEGER(4), row = blockIdx.y, first = (int64_t)blockIdx.x * BLOCK;
  const float *y = POINTER(const float, 0) + row * outs;
  float top = -INFINITY;
  bool nan = false;
  for (int64_t i = first + threadIdx.x; i < at_most(outs, first + BLOCK); i += 32) {
    top = fmaxf(top, y[i]);
    nan = nan || y[i] != y[i];
  }
  for (int distance = 16; distance > 0; distance /= 2)
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, distance));
  const bool odd = __ballot_sync(0xffffffffu, nan) != 0;
  if (threadIdx.x == 0) POINTER(float, 7)[row * gridDim.x + blockIdx.x] = odd ? NAN : top;
}

#endif
