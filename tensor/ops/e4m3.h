// 8-bit floats: a sign, four bits of exponent (bias 7), three of fraction; no infinities, up to 448. For C and CUDA.

// Rounds to the nearest, ties to even; what is larger becomes 448, NaN stays. A number up to 448 has the bits of its f32
// with a smaller bias, rounded; below 2^-6 steps are 2^-9.
E4M3_FUNCTION uint8_t e4m3_of_f32(float value) {
  const uint32_t bits = E4M3_BITS_OF(value), sign = bits >> 24 & 0x80;
  if (value != value) return 0x7f;
  const float size = fabsf(value) < 448.0f ? fabsf(value) : 448.0f;
  if (size < 0.015625f) return (uint8_t)(sign | (uint32_t)rintf(size * 512.0f));
  const uint32_t large = E4M3_BITS_OF(size);
  return (uint8_t)(sign | (((large + 0x7ffff + (large >> 20 & 1)) >> 20) - (120 << 3)));
}

// The largest absolute value becomes the largest number.
E4M3_FUNCTION float e4m3_inverse_scale(float top) { return top > 0.0f && top < INFINITY ? 448.0f / top : 0.0f; }
