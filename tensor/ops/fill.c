// Fill with one value.
// Slots: 0 out, 1 element type (its code in tensor/dtype.ts), 2 n, 3 value, 4 value as an integer.
#include "kernel.h"

#if defined(REAL_F32)

enum { F32, BF16, F16, F64, I32, I8, U8, PART = 16384 };

// A function and not one loop in the switch, so that the parallel region is entered for large tensors only.
#define FILL(T, NAME)                                                                                                 \
  static void NAME(T *out, T value, int64_t n) {                                                                      \
    for (int64_t i = 0; i < n; i++) out[i] = value;                                                                   \
  }                                                                                                                   \
  static int32_t NAME##_all(T *out, T value, int64_t n) {                                                             \
    if (n <= PART) return NAME(out, value, n), OK;                                                                    \
    _Pragma("omp parallel for") for (int64_t start = 0; start < n; start += PART)                                     \
        NAME(out + start, value, n - start < PART ? n - start : PART);                                                \
    return OK;                                                                                                        \
  }
FILL(uint8_t, fill_1)
FILL(uint16_t, fill_2)
FILL(float, fill_4)
FILL(int32_t, fill_i32)
FILL(double, fill_8)

KERNEL(fill) {
  const int64_t n = INTEGER(2);
  const float value = FLOAT(3);
  switch (INTEGER(1)) {
    case F32: return fill_4_all(POINTER(float, 0), value, n);
    case BF16: return fill_2_all(POINTER(uint16_t, 0), bf16_of_f32(value), n);
    case F16: {
      const _Float16 half = (_Float16)value;
      uint16_t bits;
      memcpy(&bits, &half, sizeof bits);
      return fill_2_all(POINTER(uint16_t, 0), bits, n);
    }
    case F64: return fill_8_all(POINTER(double, 0), value, n);
    case I32: return fill_i32_all(POINTER(int32_t, 0), (int32_t)INTEGER(4), n);
    default: return fill_1_all(POINTER(uint8_t, 0), (uint8_t)INTEGER(4), n);
  }
}

#endif
