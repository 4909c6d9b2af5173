// Copy any layout to any layout, cast, or add to what is there. One kernel serves all element types; it is told their
// codes (tensor/dtype.ts).
// Slots: 0 out, 1 in, 2 type of out, 3 type of in, 4 add, 5 rank, then `rank` sizes, strides of out, strides of in.
#include "kernel.h"

#if defined(REAL_F32)

enum { F32, BF16, F16, F64, I32, I8, U8 };

static const int64_t width[] = {4, 2, 2, 8, 4, 1, 1};

static inline double read_as_double(int64_t type, const char *p) {
  switch (type) {
    case F32: return *(const float *)p;
    case BF16: return f32_of_bf16(*(const bf16 *)p);
    case F16: return *(const _Float16 *)p;
    case F64: return *(const double *)p;
    case I32: return *(const int32_t *)p;
    case I8: return *(const int8_t *)p;
    default: return *(const uint8_t *)p;
  }
}

// A double as an integer of 32 bits, as JavaScript's typed arrays convert it: toward zero, modulo 2^32, NaN to 0.
static inline int32_t wrapped(double value) {
  if (!__builtin_isfinite(value)) return 0;
  if (__builtin_fabs(value) > 9e18) value = fmod(value, 4294967296.0);
  return (int32_t)(uint32_t)(int64_t)value;
}

static inline void write_from_double(int64_t type, char *p, double value) {
  switch (type) {
    case F32: *(float *)p = (float)value; break;
    case BF16: *(bf16 *)p = bf16_of_f32((float)value); break;
    case F16: *(_Float16 *)p = (_Float16)value; break;
    case F64: *(double *)p = value; break;
    case I32: *(int32_t *)p = wrapped(value); break;
    case I8: *(int8_t *)p = (int8_t)wrapped(value); break;
    default: *(uint8_t *)p = (uint8_t)wrapped(value); break;
  }
}

// A row of `n` elements, `step_out` and `step_in` apart.
typedef struct {
  char *out;
  const char *in;
  int64_t n, step_out, step_in;
} row;

// The pairs of types that training moves all the time have loops of their own.
#define TYPED_ROW(NAME, OUT, IN, VALUE)                                                                               \
  static void NAME(row r) {                                                                                           \
    OUT *out = (OUT *)r.out;                                                                                          \
    const IN *in = (const IN *)r.in;                                                                                  \
    if (r.step_out == 1 && r.step_in == 1)                                                                            \
      _Pragma("omp simd") for (int64_t i = 0; i < r.n; i++) {                                                         \
        const IN x = in[i];                                                                                           \
        out[i] = VALUE(out[i], x);                                                                                    \
      }                                                                                                               \
    else                                                                                                              \
      for (int64_t i = 0; i < r.n; i++) {                                                                             \
        const IN x = in[i * r.step_in];                                                                               \
        out[i * r.step_out] = VALUE(out[i * r.step_out], x);                                                          \
      }                                                                                                               \
  }
#define SAME(old, x) (x)
#define ADD(old, x) ((old) + (x))
#define WIDEN(old, x) f32_of_bf16(x)
#define ADD_WIDENED(old, x) ((old) + f32_of_bf16(x))
#define NARROW(old, x) bf16_of_f32(x)
TYPED_ROW(move_1, uint8_t, uint8_t, SAME)
TYPED_ROW(move_2, uint16_t, uint16_t, SAME)
TYPED_ROW(move_4, uint32_t, uint32_t, SAME)
TYPED_ROW(move_8, uint64_t, uint64_t, SAME)
TYPED_ROW(add_f32, float, float, ADD)
TYPED_ROW(add_bf16_to_f32, float, bf16, ADD_WIDENED)
TYPED_ROW(bf16_to_f32, float, bf16, WIDEN)
TYPED_ROW(f32_to_bf16, bf16, float, NARROW)

static void convert(int64_t type_out, int64_t type_in, int add, row r) {
  for (int64_t i = 0; i < r.n; i++) {
    char *out = r.out + i * r.step_out * width[type_out];
    const double value = read_as_double(type_in, r.in + i * r.step_in * width[type_in]);
    write_from_double(type_out, out, add ? read_as_double(type_out, out) + value : value);
  }
}

static void copy_row(int64_t type_out, int64_t type_in, int add, row r) {
  if (!add && type_out == type_in) {
    switch (width[type_out]) {
      case 1: move_1(r); return;
      case 2: move_2(r); return;
      case 4: move_4(r); return;
      default: move_8(r); return;
    }
  }
  if (type_out == F32 && type_in == BF16) {
    if (add) add_bf16_to_f32(r);
    else bf16_to_f32(r);
  } else if (type_out == F32 && type_in == F32) {
    add_f32(r);
  } else if (type_out == BF16 && type_in == F32 && !add) {
    f32_to_bf16(r);
  } else {
    convert(type_out, type_in, add, r);
  }
}

KERNEL(copy) {
  const int64_t type_out = INTEGER(2), type_in = INTEGER(3), add = INTEGER(4), rank = INTEGER(5);
  const uint64_t *size = args + 6, *stride_out = size + rank, *stride_in = stride_out + rank;
  const int64_t length = (int64_t)size[rank - 1];
  int64_t rows = 1;
  for (int64_t axis = 0; axis < rank - 1; axis++) rows *= (int64_t)size[axis];
  const int64_t piece = rows >= 64 || length <= 16384 ? length : 16384;
  const int64_t pieces = piece > 0 ? (length + piece - 1) / piece : 0;
#pragma omp parallel for if (rows * length > PARALLEL_WORK)
  for (int64_t part = 0; part < rows * pieces; part++) {
    const int64_t start = part % pieces * piece;
    int64_t at_out = start * (int64_t)stride_out[rank - 1], at_in = start * (int64_t)stride_in[rank - 1];
    int64_t rest = part / pieces;
    for (int64_t axis = rank - 2; axis >= 0; axis--) {
      const int64_t index = rest % (int64_t)size[axis];
      rest /= (int64_t)size[axis];
      at_out += index * (int64_t)stride_out[axis];
      at_in += index * (int64_t)stride_in[axis];
    }
    copy_row(type_out, type_in, (int)add,
             (row){.out = POINTER(char, 0) + at_out * width[type_out],
                   .in = POINTER(const char, 1) + at_in * width[type_in],
                   .n = start + piece < length ? piece : length - start,
                   .step_out = (int64_t)stride_out[rank - 1],
                   .step_in = (int64_t)stride_in[rank - 1]});
  }
  return OK;
}

#endif
