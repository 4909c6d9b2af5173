// Products with weights of 8-bit floats; as fp8.c. The product itself is cuBLASLt's, between the launches for the rows
// and for the results.

#define E4M3_FUNCTION __device__ inline
#define E4M3_BITS_OF __float_as_uint
#include "e4m3.h"

enum { GRAIN = 16 }; // rows and columns of weights are multiples of it

__device__ inline int64_t padded(int64_t size) { return (size + GRAIN - 1) / GRAIN * GRAIN; }

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

// `to` [0, padded n) = the numbers of a row, zeros behind them. Returns their scale.
__device__ inline float quantize_row(const real *row, int64_t n, uint8_t *to) {
  const OneBlock team;
  const float top = largest(row, n), inverse = e4m3_inverse_scale(top);
  FOR_TEAM(i, padded(n)) to[i] = i < n ? e4m3_of_f32(load(row + i) * inverse) : 0;
  return top / 448.0f; // a row that is not finite gives numbers that are not finite
}

// A block for each row of numbers.
// Slots: 0 numbers: [padded out, padded in], 1 scales, 2 weight: [out, in], 3 out, 4 in.
KERNEL(quantize_fp8) {
  const int64_t out = blockIdx.x, outs = INTEGER(3), width = INTEGER(4);
  uint8_t *to = POINTER(uint8_t, 0) + out * padded(width);
  const float scale = quantize_row(POINTER(const real, 2) + out * width, out < outs ? width : 0, to);
  const OneBlock team;
  if (out < outs) {
    if (threadIdx.x == 0) POINTER(float, 1)[out] = scale;
  } else {
    FOR_TEAM(i, padded(width)) to[i] = 0;
  }
}

// Slots: 0 y, 1 x, 2 numbers, 3 scales, 4 rows, 5 out, 6 in, 7 wide. Scratch: f32 [rows, padded out] sums, e4m3 [rows,
// padded in], f32 [rows] scales.
struct Scratch {
  float *sums;
  uint8_t *numbers;
  float *scales;
};
__device__ inline Scratch scratch_of(const Slots &args, const Context &context) {
  const int64_t rows = INTEGER(4), sums = 4 * rows * padded(INTEGER(5)), numbers = rows * padded(INTEGER(6));
  char *at = context.scratch;
  return {(float *)at, (uint8_t *)(at + sums), (float *)(at + sums + numbers)};
}

// A block for each row.
KERNEL(linear_fp8_rows) {
  const Scratch scratch = scratch_of(args, context);
  const int64_t row = blockIdx.x, width = INTEGER(6);
  const float scale =
      quantize_row(POINTER(const real, 1) + row * width, width, scratch.numbers + row * padded(width));
  if (threadIdx.x == 0) scratch.scales[row] = scale;
}

KERNEL(linear_fp8) {
  const Scratch scratch = scratch_of(args, context);
  const int64_t rows = INTEGER(4), outs = INTEGER(5), width = INTEGER(6);
  FOR_GRID(i, rows * outs) {
    const int64_t row = i / outs, out = i % outs;
    const float sum = width > 0 ? scratch.sums[row * padded(outs) + out] : 0.0f;
    const float result = sum * (scratch.scales[row] * POINTER(const float, 3)[out]);
    if (INTEGER(7)) POINTER(float, 0)[i] = result;
    else store(POINTER(real, 0) + i, result);
  }
}
