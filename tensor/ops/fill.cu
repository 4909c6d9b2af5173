// Fill with one value.
// Slots: 0 out, 1 element type (its code in tensor/dtype.ts), 2 n, 3 value, 4 value as an integer.

#if defined(REAL_F32)

template <class T> __device__ inline void fill_with(T *out, T value, int64_t n) {
  FOR_GRID(i, n) out[i] = value;
}

KERNEL(fill) {
  const int64_t n = INTEGER(2);
  const float value = FLOAT(3);
  switch (INTEGER(1)) {
    case 0: fill_with(POINTER(float, 0), value, n); break;
    case 1: fill_with(POINTER(bf16, 0), bf16_of_f32(value), n); break;
    case 2: fill_with(POINTER(uint16_t, 0), f16_of_f32(value), n); break;
    case 4: fill_with(POINTER(int32_t, 0), (int32_t)INTEGER(4), n); break;
    default: fill_with(POINTER(uint8_t, 0), (uint8_t)INTEGER(4), n);
  }
}

#endif
