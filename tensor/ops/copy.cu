// Copy any layout to any layout, cast, or add to what is there; as copy.c. Element types by their codes in
// tensor/dtype.ts.
// Slots: 0 out, 1 in, 2 type of out, 3 type of in, 4 add, 5 rank, then `rank` sizes, strides of out, strides of in.

#if defined(REAL_F32)

enum { F32, BF16, F16, F64, I32, I8, U8 };

#define SIZE(axis) INTEGER(6 + (axis))
#define STRIDE_OUT(axis) INTEGER(6 + rank + (axis))
#define STRIDE_IN(axis) INTEGER(6 + 2 * rank + (axis))

__device__ inline double read_as_double(int64_t type, const char *p, int64_t i) {
  switch (type) {
    case F32: return ((const float *)p)[i];
    case BF16: return f32_of_bf16(((const bf16 *)p)[i]);
    case F16: return f32_of_f16(((const uint16_t *)p)[i]);
    case F64: return ((const double *)p)[i];
    case I32: return ((const int32_t *)p)[i];
    case I8: return ((const int8_t *)p)[i];
    default: return ((const uint8_t *)p)[i];
  }
}

// A double as an integer of 32 bits, as JavaScript's typed arrays convert it: toward zero, modulo 2^32, NaN to 0.
__device__ inline int32_t wrapped(double value) {
  if (!(fabs(value) < INFINITY)) return 0;
  if (fabs(value) > 9e18) value -= 4294967296.0 * trunc(value / 4294967296.0);
  return (int32_t)(uint32_t)(int64_t)value;
}

__device__ inline void write_from_double(int64_t type, char *p, int64_t i, double value) {
  switch (type) {
    case F32: ((float *)p)[i] = (float)value; break;
    case BF16: ((bf16 *)p)[i] = bf16_of_f32((float)value); break;
    case F16: ((uint16_t *)p)[i] = f16_of_f64(value); break;
    case F64: ((double *)p)[i] = value; break;
    case I32: ((int32_t *)p)[i] = wrapped(value); break;
    case I8: ((int8_t *)p)[i] = (int8_t)wrapped(value); break;
    default: ((uint8_t *)p)[i] = (uint8_t)wrapped(value);
  }
}

// Calls move(place in out, place in in) for every element.
template <class Move> __device__ inline void for_each_element(const Slots &args, Move move) {
  const int64_t rank = INTEGER(5);
  int64_t n = 1;
  for (int64_t axis = 0; axis < rank; axis++) n *= SIZE(axis);
  if (rank == 1) {
    FOR_GRID(i, n) move(i * STRIDE_OUT(0), i * STRIDE_IN(0));
    return;
  }
  FOR_GRID(i, n) {
    int64_t at_out = 0, at_in = 0, rest = i;
    for (int64_t axis = rank - 1; axis >= 0; axis--) {
      const int64_t index = rest % SIZE(axis);
      rest /= SIZE(axis);
      at_out += index * STRIDE_OUT(axis), at_in += index * STRIDE_IN(axis);
    }
    move(at_out, at_in);
  }
}

template <class T> __device__ inline void move_elements(const Slots &args) {
  T *out = POINTER(T, 0);
  const T *in = POINTER(const T, 1);
  for_each_element(args, [=](int64_t at_out, int64_t at_in) { out[at_out] = in[at_in]; });
}

// Elements of one type that lie in order: 16 bytes at a time.
__device__ inline void move_bytes(char *out, const char *in, int64_t bytes) {
  const int64_t words = is_aligned(out) && is_aligned(in) ? bytes / 16 : 0;
  FOR_GRID(i, words) ((uint4 *)out)[i] = ((const uint4 *)in)[i];
  FOR_GRID(i, bytes - 16 * words) out[16 * words + i] = in[16 * words + i];
}

__device__ inline int64_t width_of(int64_t type) {
  switch (type) {
    case F64: return 8;
    case F32:
    case I32: return 4;
    case BF16:
    case F16: return 2;
    default: return 1;
  }
}

KERNEL(copy) {
  const int64_t type_out = INTEGER(2), type_in = INTEGER(3), add = INTEGER(4), rank = INTEGER(5);
  char *out = POINTER(char, 0);
  const char *in = POINTER(const char, 1);
  if (type_out == type_in && !add) {
    const int64_t width = width_of(type_in);
    if (rank == 1 && STRIDE_OUT(0) == 1 && STRIDE_IN(0) == 1) return move_bytes(out, in, SIZE(0) * width);
    switch (width) {
      case 1: return move_elements<uint8_t>(args);
      case 2: return move_elements<uint16_t>(args);
      case 4: return move_elements<uint32_t>(args);
      default: return move_elements<uint64_t>(args);
    }
  }
  // The pairs of types that training moves all the time compute in f32.
  if (type_out == F32 && type_in == F32) {
    for_each_element(args, [=](int64_t o, int64_t i) { ((float *)out)[o] += ((const float *)in)[i]; });
  } else if (type_out == F32 && type_in == BF16) {
    for_each_element(args, [=](int64_t o, int64_t i) {
      const float x = f32_of_bf16(((const bf16 *)in)[i]);
      ((float *)out)[o] = add ? ((float *)out)[o] + x : x;
    });
  } else if (type_out == BF16 && type_in == F32 && !add) {
    for_each_element(args, [=](int64_t o, int64_t i) { ((bf16 *)out)[o] = bf16_of_f32(((const float *)in)[i]); });
  } else {
    for_each_element(args, [=](int64_t o, int64_t i) {
      const double value = read_as_double(type_in, in, i);
      write_from_double(type_out, out, o, add ? read_as_double(type_out, out, o) + value : value);
    });
  }
}

#endif
