// The prelude of every CUDA kernel. It stands in front of each source, which is compiled once per element type with
// -DREAL_F32 or -DREAL_BF16 (and with -DREAL_I32 those that mention it). Nothing is included: NVRTC needs no headers.
//
// A kernel takes the block of 8-byte slots that the C kernel of its op takes, and a context. KERNEL(sum) defines
// sum_f32, sum_bf16 and so on, for blocks of THREADS threads. `real` is the element type in memory, `arith` the one to
// compute with. Results depend on a row's own numbers alone: how a row is cut and in which order the parts are added is
// fixed by its length.

#if !defined(CUDASIM)
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

typedef uint16_t bf16;

// --- Arguments ---

struct Slots {
  uint64_t slot[64];
};

// Where a kernel reports an index outside of its axis: as tensor/backend/cuda_launcher.ts reads it.
struct Fault {
  unsigned status, unused;
  uint64_t launch;
  int64_t index, place, size;
};

struct Context {
  Fault *fault;
  char *scratch; // working space that the launches of one call share
  uint64_t launch;
};

#if defined(REAL_BF16)
typedef bf16 real;
typedef float arith;
#define TYPED(name) name##_bf16
#elif defined(REAL_I32)
typedef int32_t real;
typedef int32_t arith;
#define TYPED(name) name##_i32
#else
typedef float real;
typedef float arith;
#define TYPED(name) name##_f32
#endif

enum { THREADS = 256, WARPS = THREADS / 32 };

#define KERNEL_OF(threads, name)                                                                                      \
  extern "C" __global__ void __launch_bounds__(threads, 2)                                                             \
      TYPED(name)(const __grid_constant__ Slots args, const Context context)
#define KERNEL(name) KERNEL_OF(THREADS, name)

#define POINTER(T, i) ((T *)args.slot[i])
#define INTEGER(i) ((int64_t)args.slot[i])
#define FLOAT(i) __uint_as_float((uint32_t)args.slot[i])

// The first bad index of a launch is kept; the kernel goes on without it.
__device__ inline bool index_fits(const Context &context, int64_t index, int64_t place, int64_t size) {
  if (index >= 0 && index < size) return true;
  if (atomicCAS(&context.fault->status, 0u, 1u) == 0u) {
    context.fault->launch = context.launch;
    context.fault->index = index, context.fault->place = place, context.fault->size = size;
  }
  return false;
}

// --- Element types ---

__device__ inline float f32_of_bf16(bf16 value) { return __uint_as_float((uint32_t)value << 16); }

#if !defined(CUDASIM)
__device__ inline bf16 bf16_of_f32(float value) {
  bf16 half;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}
// Two bf16 in one word, `low` in its low half.
__device__ inline uint32_t bf16_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
__device__ inline float f32_of_f16(uint16_t half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}
__device__ inline uint16_t f16_of_f32(float value) {
  uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}
__device__ inline uint16_t f16_of_f64(double value) {
  uint16_t half;
  asm("cvt.rn.f16.f64 %0, %1;" : "=h"(half) : "d"(value));
  return half;
}
// 2^x, 0 for results below the smallest normal number.
__device__ inline float exp2_f32(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif

#if defined(REAL_BF16)
__device__ inline arith load(const real *p) { return f32_of_bf16(*p); }
__device__ inline void store(real *p, arith value) { *p = bf16_of_f32(value); }
#else
__device__ inline arith load(const real *p) { return *p; }
__device__ inline void store(real *p, arith value) { *p = value; }
#endif

// --- Vectors: 16 bytes of neighbours at once where memory allows it ---

enum { VECTOR = 16 / sizeof(real) };

__device__ inline bool is_aligned(const void *p) { return (uint64_t)p % 16 == 0; }

// Whether rows of n elements at these places can be read 16 bytes at a time.
__device__ inline bool rows_are_wide(int64_t n, const void *a, const void *b = 0, const void *c = 0,
                                     const void *d = 0) {
  return n % VECTOR == 0 && is_aligned(a) && is_aligned(b) && is_aligned(c) && is_aligned(d);
}

// Elements [i, i + VECTOR) of p, zeros from n on.
__device__ inline void load_vector(const real *p, int64_t i, int64_t n, bool wide, arith out[VECTOR]) {
  if (wide && i + VECTOR <= n) {
    const uint4 words = *(const uint4 *)(p + i);
    const uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int k = 0; k < 4; k++) {
#if defined(REAL_BF16)
      out[2 * k] = __uint_as_float(word[k] << 16);
      out[2 * k + 1] = __uint_as_float(word[k] & 0xffff0000u);
#elif defined(REAL_I32)
      out[k] = (int32_t)word[k];
#else
      out[k] = __uint_as_float(word[k]);
#endif
    }
  } else {
#pragma unroll
    for (int k = 0; k < VECTOR; k++) out[k] = i + k < n ? load(p + i + k) : (arith)0;
  }
}

// Stores elements [i, i + VECTOR) of p, those before n.
__device__ inline void store_vector(real *p, int64_t i, int64_t n, bool wide, const arith values[VECTOR]) {
  if (wide && i + VECTOR <= n) {
    uint32_t word[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
#if defined(REAL_BF16)
      word[k] = bf16_pair(values[2 * k], values[2 * k + 1]);
#elif defined(REAL_I32)
      word[k] = (uint32_t)values[k];
#else
      word[k] = __float_as_uint(values[k]);
#endif
    }
    *(uint4 *)(p + i) = make_uint4(word[0], word[1], word[2], word[3]);
  } else {
#pragma unroll
    for (int k = 0; k < VECTOR; k++)
      if (i + k < n) store(p + i + k, values[k]);
  }
}

// --- Loops over elements by all threads of the grid ---

__device__ inline int64_t grid_index() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int64_t grid_threads() { return (int64_t)gridDim.x * blockDim.x; }

#define FOR_GRID(i, n) for (int64_t i = grid_index(); i < (n); i += grid_threads())
#define FOR_GRID_VECTORS(i, n) for (int64_t i = grid_index() * VECTOR; i < (n); i += grid_threads() * VECTOR)

__device__ inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
__device__ inline int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

// --- Reductions over a warp and over a block; every thread gets the result ---

struct Sum {
  template <class T> __device__ static T of(T a, T b) { return a + b; }
};
struct Largest {
  __device__ static float of(float a, float b) { return a > b ? a : b; }
};

template <class Combine, class T> __device__ inline T reduce_warp(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = Combine::of(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

// All threads of a block of whole warps must come here.
template <class Combine, class T> __device__ inline T reduce_block(T value) {
  __shared__ T parts[32];
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = reduce_warp<Combine>(value);
  if (threadIdx.x % 32 == 0) parts[warp] = value;
  __syncthreads();
  value = parts[0];
  for (int i = 1; i < warps; i++) value = Combine::of(value, parts[i]);
  __syncthreads(); // before anyone writes the parts of the next reduction
  return value;
}

// --- Teams: who works on one line of numbers, a thread, a warp or a block ---

struct OneThread {
  __device__ int rank() const { return 0; }
  __device__ int size() const { return 1; }
  template <class Combine, class T> __device__ T reduce(T value) const { return value; }
};
struct OneWarp {
  __device__ int rank() const { return threadIdx.x % 32; }
  __device__ int size() const { return 32; }
  template <class Combine, class T> __device__ T reduce(T value) const { return reduce_warp<Combine>(value); }
};
struct OneBlock {
  __device__ int rank() const { return threadIdx.x; }
  __device__ int size() const { return blockDim.x; }
  template <class Combine, class T> __device__ T reduce(T value) const { return reduce_block<Combine>(value); }
};

template <class Team> __device__ inline float sum_over(Team team, float value) {
  return team.template reduce<Sum>(value);
}
template <class Team> __device__ inline float max_over(Team team, float value) {
  return team.template reduce<Largest>(value);
}

#define FOR_TEAM(i, n) for (int64_t i = team.rank(); i < (n); i += team.size())
#define FOR_TEAM_VECTORS(i, n)                                                                                        \
  for (int64_t i = (int64_t)team.rank() * VECTOR; i < (n); i += (int64_t)team.size() * VECTOR)

// Rows up to this length get a warp each, longer ones a block: as launch.ts has it.
enum { WARP_ROW = 1024 };

// Calls work(team, row) for each row of n numbers.
template <class Work> __device__ inline void for_each_row(int64_t rows, int64_t n, Work work) {
  if (n > WARP_ROW) {
    work(OneBlock(), (int64_t)blockIdx.x);
  } else {
    const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    if (row < rows) work(OneWarp(), row);
  }
}

// Calls work(team, first, step, result) for each line of n numbers along the middle axis of [outer, n, inner]: the
// place of its first number, the distance to the next, and its place where the axis is dropped.
template <class Work>
__device__ inline void along_axis(int64_t outer, int64_t n, int64_t inner, Work work) {
  if (inner == 1) {
    for_each_row(outer, n, [&](auto team, int64_t row) { work(team, row * n, (int64_t)1, row); });
  } else {
    FOR_GRID(result, outer * inner) work(OneThread(), result / inner * n * inner + result % inner, inner, result);
  }
}

// --- Elementary functions, by the names that the C kernels use ---

#define __builtin_fabsf fabsf
#define __builtin_sqrtf sqrtf
__device__ inline float exp_f32(float x) { return expf(x); }
__device__ inline float log_f32(float x) { return logf(x); }
__device__ inline float tanh_f32(float x) { return tanhf(x); }
__device__ inline float sigmoid_f32(float x) { return 1.0f / (1.0f + expf(-x)); }
// d/dx of ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), times g.
__device__ inline float gelu_backward_f32(float x, float g) {
  const float t = tanhf(0.7978845608f * (x + 0.044715f * x * x * x));
  return g * 0.5f * (1.0f + t + x * (1.0f - t * t) * 0.7978845608f * (1.0f + 0.134145f * x * x));
}

// --- Shared memory whose size the launch decides ---

#if !defined(CUDASIM)
extern __shared__ __align__(128) char dynamic_shared[];
#endif
