// Families of kernels that work element by element, as pointwise.c has them; the same lines are appended here.
//
// Slots: 0 out, 1 a, 2 b or null, 3 number, 4 rank, then `rank` sizes, `rank` strides of a and `rank` strides of b.
// Neighbouring axes have been merged, so most calls have rank 1 and strides of 1, and take the wide path.

#define SIZE(axis) INTEGER(5 + (axis))
#define STRIDE_A(axis) INTEGER(5 + rank + (axis))
#define STRIDE_B(axis) INTEGER(5 + 2 * rank + (axis))

#if defined(REAL_I32)
#define NUMBER ((int32_t)INTEGER(3))
#else
#define NUMBER FLOAT(3)
#endif

struct Flag {
  uint8_t value;
};
__device__ inline void store_result(real *out, int64_t i, arith value) { store(out + i, value); }
__device__ inline void store_result(Flag *out, int64_t i, arith value) { out[i].value = (uint8_t)value; }

// VECTOR neighbours at a time.
template <class Out, class F> __device__ inline void compute_vectors(const Slots &args, F f) {
  const int64_t n = SIZE(0);
  const real *a = POINTER(const real, 1), *b = POINTER(const real, 2);
  Out *out = POINTER(Out, 0);
  const bool wide = is_aligned(a) && is_aligned(b) && is_aligned(out);
  FOR_GRID_VECTORS(i, n) {
    arith x[VECTOR], y[VECTOR], z[VECTOR];
    load_vector(a, i, n, wide, x);
    if (b) load_vector(b, i, n, wide, y);
#pragma unroll
    for (int k = 0; k < VECTOR; k++) z[k] = f(x[k], b ? y[k] : NUMBER);
    if constexpr (sizeof(Out) == sizeof(real)) {
      store_vector((real *)out, i, n, wide, z);
    } else {
      for (int k = 0; k < VECTOR; k++)
        if (i + k < n) store_result(out, i + k, z[k]);
    }
  }
}

// Any strides, one element at a time.
template <class Out, class F> __device__ inline void compute_elements(const Slots &args, F f) {
  const int64_t rank = INTEGER(4);
  int64_t n = 1;
  for (int64_t axis = 0; axis < rank; axis++) n *= SIZE(axis);
  FOR_GRID(i, n) {
    int64_t at_a = 0, at_b = 0, rest = i;
    for (int64_t axis = rank - 1; axis >= 0; axis--) {
      const int64_t index = rest % SIZE(axis);
      rest /= SIZE(axis);
      at_a += index * STRIDE_A(axis), at_b += index * STRIDE_B(axis);
    }
    const arith y = args.slot[2] ? load(POINTER(const real, 2) + at_b) : NUMBER;
    store_result(POINTER(Out, 0), i, f(load(POINTER(const real, 1) + at_a), y));
  }
}

#define POINTWISE(name, Out, expression)                                                                              \
  KERNEL(name) {                                                                                                      \
    const int64_t rank = INTEGER(4);                                                                                  \
    const auto f = [](arith x, arith y) -> arith { return expression; };                                              \
    if (rank == 1 && STRIDE_A(0) == 1 && (!args.slot[2] || STRIDE_B(0) == 1)) compute_vectors<Out>(args, f);          \
    else compute_elements<Out>(args, f);                                                                              \
  }

#define ZIP_KERNEL(name, expression) POINTWISE(name, real, expression)
#define COMPARE_KERNEL(name, expression) POINTWISE(name, Flag, (expression) ? 1 : 0)
#if defined(REAL_I32)
#define MAP_KERNEL(name, expression)
#define ZIP_FLOAT_KERNEL(name, expression)
#else
#define MAP_KERNEL(name, expression) POINTWISE(name, real, expression)
#define ZIP_FLOAT_KERNEL(name, expression) POINTWISE(name, real, expression)
#endif
