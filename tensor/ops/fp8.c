// Products with weights of 8-bit floats; rows of x are quantised too. y = (Σ q·w)·(scale of the row)·(scale of the
// output), with f32 sums.
#include "scratch.h"

#define E4M3_FUNCTION static inline
#define E4M3_BITS_OF bits_of
#include "e4m3.h"

enum { GRAIN = 16 }; // rows and columns of weights are multiples of it

static int64_t padded(int64_t size) { return (size + GRAIN - 1) / GRAIN * GRAIN; }

// The bits of an f32 with a smaller exponent; multiplying makes up for the bias, below 2^-6 too.
static inline float f32_of_e4m3(uint8_t code) {
  const float size = float_bits((uint32_t)(code & 0x7f) << 20) * 0x1p120f;
  return (code & 0x7f) == 0x7f ? NAN : code & 0x80 ? -size : size;
}

// The largest absolute value; NaN if there is a NaN.
static float largest(const real *x, int64_t n) {
  float top = 0.0f;
  int bad = 0;
#pragma omp simd reduction(max : top) reduction(| : bad)
  for (int64_t i = 0; i < n; i++) {
    const float size = fabsf(load(x + i));
    top = size > top ? size : top;
    bad |= size != size;
  }
  return bad ? NAN : top;
}

// Slots: 0 numbers: [padded out, padded in], 1 scales, 2 weight: [out, in], 3 out, 4 in.
KERNEL(quantize_fp8) {
  uint8_t *numbers = POINTER(uint8_t, 0);
  float *scales = POINTER(float, 1);
  const real *weight = POINTER(const real, 2);
  const int64_t outs = INTEGER(3), width = INTEGER(4), step = padded(width);
#pragma omp parallel for if (outs * width > PARALLEL_WORK)
  for (int64_t out = 0; out < padded(outs); out++) {
    uint8_t *to = numbers + out * step;
    memset(to, 0, (size_t)step);
    if (out >= outs) continue;
    const real *row = weight + out * width;
    const float top = largest(row, width), inverse = e4m3_inverse_scale(top);
    for (int64_t i = 0; i < width; i++) to[i] = e4m3_of_f32(load(row + i) * inverse);
    scales[out] = top / 448.0f;
  }
  return OK;
}

// Slots: 0 y, 1 x, 2 numbers, 3 scales, 4 rows, 5 out, 6 in, 7 wide.
KERNEL(linear_fp8) {
  const real *x = POINTER(const real, 1);
  const uint8_t *numbers = POINTER(const uint8_t, 2);
  const float *scales = POINTER(const float, 3);
  const int64_t rows = INTEGER(4), outs = INTEGER(5), width = INTEGER(6), step = padded(width);
  float *row_scales = thread_scratch((size_t)(rows + rows * width)), *quantised = row_scales + rows;
  if (!row_scales) return OUT_OF_MEMORY;
  for (int64_t r = 0; r < rows; r++) {
    const float top = largest(x + r * width, width), inverse = e4m3_inverse_scale(top);
    for (int64_t i = 0; i < width; i++)
      quantised[r * width + i] = f32_of_e4m3(e4m3_of_f32(load(x + r * width + i) * inverse));
    row_scales[r] = top / 448.0f; // a row that is not finite gives numbers that are not finite
  }
#pragma omp parallel for if (rows * outs * width > PARALLEL_WORK)
  for (int64_t out = 0; out < outs; out++) {
    for (int64_t r = 0; r < rows; r++) {
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < width; i++) sum += quantised[r * width + i] * f32_of_e4m3(numbers[out * step + i]);
      const float result = sum * (row_scales[r] * scales[out]);
      if (INTEGER(7)) POINTER(float, 0)[r * outs + out] = result;
      else store(POINTER(real, 0) + r * outs + out, result);
    }
  }
  return OK;
}
