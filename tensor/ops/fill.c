// Fill with one value.
// Slots: 0 out, 1 element type (its code in tensor/dtype.ts), 2 n, 3 value, 4 value as an integer.
#include "kernel.h"

#if defined(REAL_F32)

enum { F32, BF16, F16, I32 = 4, I8, U8 };

#define FILL(T, value)                                                                                                \
  {                                                                                                                   \
    T *out = POINTER(T, 0);                                                                                           \
    const T element = (T)(value);                                                                                     \
    for (int64_t i = 0; i < n; i++) out[i] = element;                                                                 \
    return OK;                                                                                                        \
  }

KERNEL(fill) {
  const int64_t n = INTEGER(2);
  const float value = FLOAT(3);
  switch (INTEGER(1)) {
    case F32: FILL(float, value)
    case BF16: FILL(bf16, bf16_of_f32(value))
    case F16: FILL(_Float16, value)
    case I32: FILL(int32_t, INTEGER(4))
    case I8: FILL(int8_t, INTEGER(4))
    default: FILL(uint8_t, INTEGER(4))
  }
}

#endif
