// Families of kernels that work element by element. The ops append one line each, such as
//   MAP_KERNEL(map_relu2, x > 0 ? x * x : 0)
// An element's value depends on that element alone, so any loop over any part of the tensor gives the same bits.
#include "kernel.h"
#include "math.h"

// Slots: 0 out, 1 a, 2 b, 3 number, 4 rank, then `rank` sizes, `rank` strides of a and `rank` strides of b. Neighbouring
// axes have been merged, so most calls have rank 1. The output is contiguous.
#define SIZE(axis) INTEGER(5 + (axis))
#define STRIDE_A(axis) INTEGER(5 + rank + (axis))
#define STRIDE_B(axis) INTEGER(5 + 2 * rank + (axis))

// Run ROW for pieces of rows (runs along the last axis), in parallel. It sees `n` elements to do, `first`, their place in
// the output, and `offset_a` and `offset_b`, their places in the inputs.
#define FOR_EACH_ROW(ROW)                                                                                             \
  const int64_t rank = INTEGER(4), length = SIZE(rank - 1);                                                           \
  int64_t rows = 1;                                                                                                   \
  for (int64_t axis = 0; axis < rank - 1; axis++) rows *= SIZE(axis);                                                 \
  /* Few long rows are cut into pieces, so that there is work for every thread. */                                    \
  const int64_t piece = rows >= 64 ? length : (length > 16384 ? 16384 : length);                                      \
  const int64_t pieces = piece > 0 ? (length + piece - 1) / piece : 0;                                                \
  const int64_t parts = rows * pieces;                                                                                \
  _Pragma("omp parallel for if (rows * length > PARALLEL_WORK)") for (int64_t part = 0; part < parts; part++) {       \
    const int64_t start = part % pieces * piece;                                                                      \
    const int64_t n = start + piece < length ? piece : length - start;                                                \
    int64_t offset_a = start * STRIDE_A(rank - 1), offset_b = start * STRIDE_B(rank - 1);                             \
    int64_t rest = part / pieces;                                                                                     \
    const int64_t first = rest * length + start;                                                                      \
    for (int64_t axis = rank - 2; axis >= 0; axis--) {                                                                \
      const int64_t size = SIZE(axis), index = rest % size;                                                           \
      rest /= size;                                                                                                   \
      offset_a += index * STRIDE_A(axis);                                                                             \
      offset_b += index * STRIDE_B(axis);                                                                             \
    }                                                                                                                 \
    ROW                                                                                                               \
  }

// out[i] = f(x), x = a[i]. The contiguous loop is apart so that it becomes vector code. The output may be the input.
#define MAP_ROW(expression)                                                                                           \
  {                                                                                                                   \
    const int64_t step = STRIDE_A(rank - 1);                                                                          \
    const real *in = a + offset_a;                                                                                    \
    real *to = out + first;                                                                                           \
    if (step == 1)                                                                                                    \
      _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                           \
        const arith x = load(in + i);                                                                                 \
        store(to + i, expression);                                                                                    \
      }                                                                                                               \
    else                                                                                                              \
      _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                           \
        const arith x = load(in + i * step);                                                                          \
        store(to + i, expression);                                                                                    \
      }                                                                                                               \
  }

// out[i] = f(x, y), x = a[i] and y = b[i], or y a number when b is null. A repeated operand (step 0) is read once, so
// that the loop becomes vector code all the same. WRITE stores the value of the op's expression.
#define ZIP_LOOP(X, Y, WRITE)                                                                                         \
  for (int64_t i = 0; i < n; i++) {                                                                                   \
    const arith x = X, y = Y;                                                                                         \
    WRITE                                                                                                             \
  }
#define ZIP_ROW(T, WRITE)                                                                                             \
  {                                                                                                                   \
    const int64_t step_a = STRIDE_A(rank - 1), step_b = b ? STRIDE_B(rank - 1) : 0;                                   \
    const real *in_a = a + offset_a, *in_b = b + offset_b;                                                            \
    const arith first_a = n > 0 ? load(in_a) : 0, first_b = b && n > 0 ? load(in_b) : number;                         \
    T *to = out + first;                                                                                              \
    if (step_a == 1 && step_b == 1) _Pragma("omp simd") ZIP_LOOP(load(in_a + i), load(in_b + i), WRITE)               \
    else if (step_a == 1 && step_b == 0) _Pragma("omp simd") ZIP_LOOP(load(in_a + i), first_b, WRITE)                 \
    else if (step_a == 0 && step_b == 1) _Pragma("omp simd") ZIP_LOOP(first_a, load(in_b + i), WRITE)                 \
    else if (step_b == 0) ZIP_LOOP(load(in_a + i * step_a), first_b, WRITE)                                           \
    else ZIP_LOOP(load(in_a + i * step_a), load(in_b + i * step_b), WRITE)                                            \
  }

#define ZIP_TO(name, T, WRITE)                                                                                        \
  KERNEL(name) {                                                                                                      \
    T *out = POINTER(T, 0);                                                                                           \
    const real *a = POINTER(const real, 1), *b = POINTER(const real, 2);                                              \
    const arith number = NUMBER(3);                                                                                   \
    FOR_EACH_ROW(ZIP_ROW(T, WRITE))                                                                                   \
    return OK;                                                                                                        \
  }

#if defined(REAL_I32)
#define NUMBER(i) ((int32_t)INTEGER(i))
#define MAP_KERNEL(name, expression)
#define ZIP_FLOAT_KERNEL(name, expression)
#else
#define NUMBER(i) FLOAT(i)
#define MAP_KERNEL(name, expression)                                                                                  \
  KERNEL(name) {                                                                                                      \
    real *out = POINTER(real, 0);                                                                                     \
    const real *a = POINTER(const real, 1);                                                                           \
    FOR_EACH_ROW(MAP_ROW(expression))                                                                                 \
    return OK;                                                                                                        \
  }
#define ZIP_FLOAT_KERNEL(name, expression) ZIP_TO(name, real, store(to + i, expression);)
#endif

#define ZIP_KERNEL(name, expression) ZIP_TO(name, real, store(to + i, expression);)
#define COMPARE_KERNEL(name, expression) ZIP_TO(name, uint8_t, to[i] = (expression) ? 1 : 0;)

