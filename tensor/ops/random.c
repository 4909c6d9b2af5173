// Tensors of random numbers, and dropout. Element i is a function of the key and of offset + i alone.
#include "math.h"
#include "philox.h"

// A uniform number has as many bits as its type holds, so that it never rounds up to 1.
#if defined(REAL_BF16)
enum { UNIFORM_BITS = 8 };
#else
enum { UNIFORM_BITS = 24 };
#endif

// Slots: 0 out, 1 n, 2 and 3 key, 4 offset.
KERNEL(uniform) {
  real *out = POINTER(real, 0);
  const int64_t n = INTEGER(1), offset = INTEGER(4);
  FOR_EACH_CHUNK((uint32_t)INTEGER(2), (uint32_t)INTEGER(3), offset, n, {
    for (int64_t j = from; j < to; j++)
      store(out + at + j, (float)(words[j] >> (32 - UNIFORM_BITS)) * (1.0f / (1 << UNIFORM_BITS)));
  })
  return OK;
}

// Two normal numbers from two words: radius √(-2 ln u), u in (0, 1], and an angle (Box & Muller, 1958). The angle is a
// whole number of quarter turns and a rest of at most an eighth, for which polynomials do.
static inline void box_muller(uint32_t first, uint32_t second, float *cosine, float *sine) {
  const float u = (float)first * 2.3283064365e-10f + 1.1641532183e-10f; // (first + ½) / 2^32
  const float radius = sqrtf(-2.0f * log_f32(u));
  const uint32_t quarter = (second + 0x20000000u) >> 30;
  const float x = (float)(int32_t)(second - (quarter << 30)) * (1.57079632679489662f / (1 << 30)), z = x * x;
  const float s = x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f - z * 1.9515295891e-4f));
  const float c = 1.0f - 0.5f * z + z * z * (4.166664568e-2f + z * (-1.388731625e-3f + z * 2.443315712e-5f));
  const float swappedCosine = quarter & 1 ? s : c, swappedSine = quarter & 1 ? c : s;
  *cosine = radius * ((quarter + 1) & 2 ? -swappedCosine : swappedCosine);
  *sine = radius * (quarter & 2 ? -swappedSine : swappedSine);
}

// Slots: 0 out, 1 n, 2 and 3 key, 4 offset, 5 mean, 6 standard deviation.
KERNEL(normal) {
  real *out = POINTER(real, 0);
  const int64_t n = INTEGER(1), offset = INTEGER(4);
  const float mean = FLOAT(5), deviation = FLOAT(6);
  FOR_EACH_CHUNK((uint32_t)INTEGER(2), (uint32_t)INTEGER(3), offset, n, {
    float normals[CHUNK];
    for (int j = 0; j < CHUNK; j += 2) box_muller(words[j], words[j + 1], normals + j, normals + j + 1);
    for (int64_t j = from; j < to; j++) store(out + at + j, mean + deviation * normals[j]);
  })
  return OK;
}

// Slots: 0 out, 1 x, 2 n, 3 and 4 key, 5 offset, 6 smallest word that is kept, 7 scale.
KERNEL(dropout) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int64_t n = INTEGER(2), offset = INTEGER(5);
  const uint32_t threshold = (uint32_t)INTEGER(6);
  const float scale = FLOAT(7);
  FOR_EACH_CHUNK((uint32_t)INTEGER(3), (uint32_t)INTEGER(4), offset, n, {
    for (int64_t j = from; j < to; j++) store(out + at + j, words[j] >= threshold ? load(x + at + j) * scale : 0.0f);
  })
  return OK;
}
