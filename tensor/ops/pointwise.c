// Families of kernels that work element by element. The ops append one line each, such as
//   MAP_KERNEL(map_relu2, x > 0 ? x * x : 0)
//
// Such a line makes one loop over contiguous numbers to compute with. Whatever the element type and the strides are, the
// driver below brings operands into that form a block at a time, in the first-level cache; contiguous f32 is used where it
// lies. An element's value depends on that element alone, so it has the same bits wherever it is computed.
//
// Slots: 0 out, 1 a, 2 b, 3 number, 4 rank, then `rank` sizes, `rank` strides of a and `rank` strides of b. Neighbouring
// axes have been merged, so most calls have rank 1. The output is contiguous, and may be one of the inputs.
#include "kernel.h"
#include "math.h"

enum { BLOCK = 512, PIECE = 32 * BLOCK };

#define SIZE(axis) INTEGER(5 + (axis))
#define STRIDE_A(axis) INTEGER(5 + rank + (axis))
#define STRIDE_B(axis) INTEGER(5 + 2 * rank + (axis))

// out[i] = f(x[i], y[i]); a map ignores y.
typedef void Loop(arith *out, const arith *x, const arith *y, int64_t n);

typedef struct {
  const uint64_t *args;
  Loop *loop;
  int flags; // the output is u8
} Call;

// `n` elements of an operand, `step` apart, as numbers to compute with.
static const arith *operand(const real *from, int64_t step, int64_t n, arith *block) {
  if (sizeof(real) == 4 && step == 1) return (const arith *)from;
  if (step == 1)
    for (int64_t i = 0; i < n; i++) block[i] = load(from + i);
  else
    for (int64_t i = 0; i < n; i++) block[i] = load(from + i * step);
  return block;
}

static void store_block(const Call *call, int64_t first, const arith *block, int64_t n) {
  if (call->flags) {
    uint8_t *out = (uint8_t *)(uintptr_t)call->args[0] + first;
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)block[i];
  } else {
    real *out = (real *)(uintptr_t)call->args[0] + first;
    for (int64_t i = 0; i < n; i++) store(out + i, block[i]);
  }
}

#if defined(REAL_I32)
#define NUMBER(i) ((int32_t)INTEGER(i))
#else
#define NUMBER(i) FLOAT(i)
#endif

// The elements [start, end) of one row: a run along the last axis.
static void compute(const Call *call, int64_t row, int64_t start, int64_t end) {
  const uint64_t *args = call->args;
  const int64_t rank = INTEGER(4), step_a = STRIDE_A(rank - 1), step_b = STRIDE_B(rank - 1);
  int64_t first = row * SIZE(rank - 1) + start, offset_a = start * step_a, offset_b = start * step_b;
  for (int64_t axis = rank - 2; axis >= 0; axis--) {
    const int64_t index = row % SIZE(axis);
    row /= SIZE(axis);
    offset_a += index * STRIDE_A(axis);
    offset_b += index * STRIDE_B(axis);
  }
  const real *a = POINTER(const real, 1) + offset_a, *b = POINTER(const real, 2) + offset_b;
  const int in_place = sizeof(real) == 4 && !call->flags;
  arith block_a[BLOCK], block_b[BLOCK], block_out[BLOCK];
  if (!args[2])
    for (int64_t i = 0; i < (end - start < BLOCK ? end - start : BLOCK); i++) block_b[i] = NUMBER(3);
  for (int64_t n; start < end; start += n, first += n, a += n * step_a, b += n * step_b) {
    n = end - start < BLOCK ? end - start : BLOCK;
    arith *out = in_place ? (arith *)(uintptr_t)args[0] + first : block_out;
    const arith *x = operand(a, step_a, n, block_a);
    call->loop(out, x, args[2] ? operand(b, step_b, n, block_b) : block_b, n);
    if (!in_place) store_block(call, first, out, n);
  }
}

// Few long rows are cut into pieces, so that there is work for every thread.
static void compute_in_parallel(const Call *call, int64_t rows, int64_t length) {
  const int64_t piece = rows >= 64 || length <= PIECE ? length : PIECE, pieces = (length + piece - 1) / piece;
#pragma omp parallel for
  for (int64_t part = 0; part < rows * pieces; part++) {
    const int64_t start = part % pieces * piece;
    compute(call, part / pieces, start, start + piece < length ? start + piece : length);
  }
}

static int32_t compute_all(Call call) {
  const uint64_t *args = call.args;
  const int64_t rank = INTEGER(4), length = SIZE(rank - 1);
  int64_t rows = 1;
  for (int64_t axis = 0; axis < rank - 1; axis++) rows *= SIZE(axis);
  if (rows * length > PARALLEL_WORK) compute_in_parallel(&call, rows, length);
  else
    for (int64_t row = 0; row < rows; row++) compute(&call, row, 0, length);
  return OK;
}

#define POINTWISE(name, is_flags, expression)                                                                         \
  static void name##_loop(arith *out, const arith *in_x, const arith *in_y, int64_t n) {                              \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                             \
      const arith x = in_x[i], y = in_y[i];                                                                           \
      (void)y;                                                                                                        \
      out[i] = expression;                                                                                            \
    }                                                                                                                 \
  }                                                                                                                   \
  KERNEL(name) { return compute_all((Call){args, name##_loop, is_flags}); }

#define ZIP_KERNEL(name, expression) POINTWISE(name, 0, expression)
#define COMPARE_KERNEL(name, expression) POINTWISE(name, 1, (expression) ? 1 : 0)
#if defined(REAL_I32)
#define MAP_KERNEL(name, expression)
#define ZIP_FLOAT_KERNEL(name, expression)
#else
#define MAP_KERNEL(name, expression) POINTWISE(name, 0, expression)
#define ZIP_FLOAT_KERNEL(name, expression) POINTWISE(name, 0, expression)
#endif

