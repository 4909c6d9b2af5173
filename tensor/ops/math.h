// Elementary functions for kernels: branch-free scalar code that the compiler turns into vector code when it is called
// in a loop, so a value does not depend on the lane or the loop that computed it. Accuracy: within 2 units in the last
// place of f32 over the whole range, infinities and NaN included.
#pragma once
#include "kernel.h"

// 2^n for -126 <= n <= 127, by writing the exponent field.
static inline float power_of_two(int32_t n) { return float_bits((uint32_t)(n + 127) << 23); }

// e^r for |r| <= ln 2 / 2: its Taylor polynomial, refitted on that interval.
static inline float exp_polynomial(float r) {
  float p = 1.9875691500e-4f;
  p = __builtin_fmaf(p, r, 1.3981999507e-3f);
  p = __builtin_fmaf(p, r, 8.3334519073e-3f);
  p = __builtin_fmaf(p, r, 4.1665795894e-2f);
  p = __builtin_fmaf(p, r, 1.6666665459e-1f);
  p = __builtin_fmaf(p, r, 5.0000001201e-1f);
  return __builtin_fmaf(p, r * r, r) + 1.0f;
}

// e^x = 2^n · e^r with n = round(x / ln 2), |r| <= ln 2 / 2.
static inline float exp_f32(float x) {
  // In two steps, and NaN put back at the end, because gcc repeats all that follows for each way through one condition.
  const float above = x > -104.0f ? x : -104.0f;
  const float clamped = above < 89.0f ? above : 89.0f;
  const float n = __builtin_rintf(clamped * 1.44269504088896341f);
  float r = __builtin_fmaf(n, -0.693359375f, clamped);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  const float p = exp_polynomial(r);
  // Two factors, because n reaches 128 and the result may be subnormal.
  const int32_t whole = (int32_t)n;
  const int32_t half = whole >> 1;
  const float y = p * power_of_two(half) * power_of_two(whole - half);
  return x == x ? y : x;
}

// e^x for x <= 0 in fewer steps: n is rounded by adding a number whose last digit is worth 1, which leaves n, with the
// bias of an exponent, in the lowest bits of the sum. Results up to e^-87 are 0, whatever the steps make of them.
static inline float exp_nonpositive_f32(float x) {
  const float shifter = 12582912.0f + 127.0f; // 1.5·2^23 and the bias
  const float shifted = __builtin_fmaf(x, 1.44269504088896341f, shifter);
  const float n = shifted - shifter;
  float r = __builtin_fmaf(n, -0.693359375f, x);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  const float power = float_bits(bits_of(shifted) << 23); // 2^n
  return x <= -87.0f ? 0.0f : exp_polynomial(r) * power;
}

// ln x = e·ln 2 + ln m with x = m·2^e and m in [√½, √2).
static inline float log_f32(float x) {
  // A subnormal is scaled up by 2^23 first, and its exponent corrected.
  const int subnormal = x < 1.17549435e-38f;
  const uint32_t bits = bits_of(subnormal ? x * 8388608.0f : x);
  const uint32_t shifted = bits - 0x3f3504f3u; // the bits of √½, so that the mantissa splits there
  const float e = (float)((int32_t)shifted >> 23) - (subnormal ? 23.0f : 0.0f);
  const float m = float_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = __builtin_fmaf(p, m, -1.1514610310e-1f);
  p = __builtin_fmaf(p, m, 1.1676998740e-1f);
  p = __builtin_fmaf(p, m, -1.2420140846e-1f);
  p = __builtin_fmaf(p, m, 1.4249322787e-1f);
  p = __builtin_fmaf(p, m, -1.6668057665e-1f);
  p = __builtin_fmaf(p, m, 2.0000714765e-1f);
  p = __builtin_fmaf(p, m, -2.4999993993e-1f);
  p = __builtin_fmaf(p, m, 3.3333331174e-1f);
  float y = m * z * p;
  y = __builtin_fmaf(e, -2.12194440e-4f, y);
  y = __builtin_fmaf(z, -0.5f, y);
  const float result = __builtin_fmaf(e, 0.693359375f, m + y);
  const float edge = x == 0.0f ? -INFINITY : (x < 0.0f ? NAN : x); // for 0, negatives, +∞ and NaN
  return (x > 0.0f && x < INFINITY) ? result : edge;
}

// tanh x: an odd polynomial near zero, where 1 - 2/(e^2x + 1) would cancel.
static inline float tanh_f32(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = __builtin_fmaf(p, z, 2.06390887954e-2f);
  p = __builtin_fmaf(p, z, -5.37397155531e-2f);
  p = __builtin_fmaf(p, z, 1.33314422036e-1f);
  p = __builtin_fmaf(p, z, -3.33332819422e-1f);
  const float small = __builtin_fmaf(p * z, x, x);
  const float large = 1.0f - 2.0f / (exp_f32(2.0f * x) + 1.0f);
  return __builtin_fabsf(x) < 0.625f ? small : large;
}

static inline float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

// d/dx of ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), times g.
static inline float gelu_backward_f32(float x, float g) {
  const float t = tanh_f32(0.7978845608f * (x + 0.044715f * x * x * x));
  return g * 0.5f * (1.0f + t + x * (1.0f - t * t) * 0.7978845608f * (1.0f + 0.134145f * x * x));
}
