// CUDA C++ as g++ understands it. It stands in front of every kernel that the simulated NVRTC compiles.
#pragma once
#include "simulator.h"
#include <math.h>

#define CUDASIM
#if defined(CUDASIM_LIST_KERNELS) // the pass that only looks for kernels
#define __global__ cudasim_kernel
#else
#define __global__
#endif
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
// A block runs on one thread of the system, so what belongs to the block is local to that.
#define __shared__ static __thread
#define __constant__ static
#define dynamic_shared (sim_thread->block->dynamic_shared)

#define threadIdx (sim_thread->index)
#define blockIdx (sim_thread->block->index)
#define blockDim (sim_thread->block->size)
#define gridDim (sim_thread->block->grid)
#define warpSize 32

struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// --- Barriers and warps ---

static inline void __syncthreads() { sim_barrier(0); }
static inline int __syncthreads_or(int predicate) { return sim_barrier(predicate) != 0; }
static inline int __syncthreads_count(int predicate) { return sim_barrier(predicate); }
static inline void __syncwarp(unsigned mask = ~0u) {
  const char nothing = 0;
  sim_exchange(mask, &nothing, 1, "__syncwarp");
}

template <class T> static inline T from_lane(const char *slots, unsigned lane) {
  T value;
  memcpy(&value, slots + lane * 64, sizeof value);
  return value;
}

#define SHUFFLE(NAME, PARAMETER, SOURCE, INSIDE)                                                                      \
  template <class T> static inline T NAME(unsigned mask, T value, PARAMETER, int width = 32) {                        \
    const char *slots = sim_exchange(mask, &value, sizeof value, #NAME);                                              \
    const unsigned lane = sim_thread->lane, w = (unsigned)width, source = SOURCE;                                     \
    (void)w;                                                                                                          \
    return INSIDE ? from_lane<T>(slots, source) : value;                                                              \
  }
SHUFFLE(__shfl_sync, int from, (lane & ~(w - 1)) | ((unsigned)from & (w - 1)), true)
SHUFFLE(__shfl_xor_sync, int bits, lane ^ (unsigned)bits, source / w == lane / w)
SHUFFLE(__shfl_down_sync, unsigned delta, lane + delta, source / w == lane / w)
SHUFFLE(__shfl_up_sync, unsigned delta, lane - delta, lane % w >= delta)

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const char *slots = sim_exchange(mask, &predicate, sizeof predicate, "__ballot_sync");
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; lane++)
    if ((mask >> lane & 1) && from_lane<int>(slots, lane)) votes |= 1u << lane;
  return votes;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

// --- Atomics ---

#define ATOMIC(NAME, T, RESULT)                                                                                       \
  static inline T NAME(T *p, T value) {                                                                               \
    sim_atomic(p, sizeof(T));                                                                                         \
    T old, next;                                                                                                      \
    __atomic_load(p, &old, 5);                                                                                        \
    do next = RESULT;                                                                                                 \
    while (!__atomic_compare_exchange(p, &old, &next, 0, 5, 5));                                                      \
    return old;                                                                                                       \
  }
ATOMIC(atomicAdd, int, old + value)
ATOMIC(atomicAdd, unsigned, old + value)
ATOMIC(atomicAdd, unsigned long long, old + value)
ATOMIC(atomicAdd, float, old + value)
ATOMIC(atomicMax, int, old > value ? old : value)
ATOMIC(atomicMax, unsigned, old > value ? old : value)
ATOMIC(atomicMin, int, old < value ? old : value)
ATOMIC(atomicMin, unsigned, old < value ? old : value)
ATOMIC(atomicOr, unsigned, old | value)
ATOMIC(atomicExch, unsigned, value)
static inline unsigned atomicCAS(unsigned *p, unsigned expected, unsigned value) {
  sim_atomic(p, sizeof *p);
  __atomic_compare_exchange_n(p, &expected, value, 0, 5, 5);
  return expected;
}
static inline void __threadfence() { __atomic_thread_fence(5); }
static inline void __threadfence_system() { __atomic_thread_fence(5); }

// --- Arithmetic ---

// The C library has some of these names for itself.
#define rsqrtf(x) (1.0f / sqrtf(x))
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __fdividef(x, y) ((x) / (y))
static inline unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return bits;
}
static inline float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) sum += (int8_t)(a >> i) * (int8_t)(b >> i);
  return sum;
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T min(T a, T b) { return a < b ? a : b; }
template <class T> static inline T max(T a, T b) { return a > b ? a : b; }

// --- What tensor/ops/kernel.cuh writes in PTX ---

static inline uint16_t bf16_of_f32(float value) {
  const unsigned bits = __float_as_uint(value);
  if (value != value) return 0x7fff;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static inline unsigned bf16_pair(float low, float high) { return bf16_of_f32(low) | (unsigned)bf16_of_f32(high) << 16; }
static inline float f32_of_f16(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, 2);
  return (float)half;
}
static inline uint16_t f16_of_f32(float value) {
  const _Float16 half = (_Float16)value;
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
}
static inline uint16_t f16_of_f64(double value) {
  const _Float16 half = (_Float16)value;
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
}
static inline float exp2_f32(float x) { return exp2f(x); }

// D = A·B + C for A [16, 16], B [16, 8], spread over the lanes as mma.sync.m16n8k16 has them.
static inline void mma_bf16(float d[4], const unsigned a[4], const unsigned b[2]) {
  const unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const char *slots = sim_exchange(~0u, mine, sizeof mine, "mma.sync");
  const auto number = [&](unsigned lane, int word, int half) {
    return __uint_as_float((unsigned)((const uint16_t *)(slots + lane * 64))[2 * word + half] << 16);
  };
  const int group = (int)sim_thread->lane / 4, pair = (int)sim_thread->lane % 4;
  for (int i = 0; i < 4; i++) {
    const int row = group + (i >= 2) * 8, column = pair * 2 + (i & 1);
    float sum = d[i];
    for (int k = 0; k < 16; k++)
      sum += number((unsigned)((row & 7) * 4 + (k & 7) / 2), (row >= 8) + 2 * (k >= 8), k & 1) *
             number((unsigned)(column * 4 + (k & 7) / 2), 4 + (k >= 8), k & 1);
    d[i] = sum;
  }
}

// Four 8 x 8 matrices of 16-bit elements, whose rows the lanes point at, spread over the lanes as ldmatrix does.
static inline void load_matrices(unsigned out[4], const void *row, bool transposed) {
  if ((uintptr_t)row % 16) sim_fail(716, "ldmatrix reads a row that is not aligned to 16 bytes");
  const char *slots = sim_exchange(~0u, &row, sizeof row, "ldmatrix");
  const unsigned lane = sim_thread->lane;
  for (unsigned matrix = 0; matrix < 4; matrix++) {
    const auto element = [&](unsigned i, unsigned j) -> unsigned {
      return from_lane<const uint16_t *>(slots, matrix * 8 + i)[j];
    };
    const unsigned i = lane / 4, j = lane % 4 * 2;
    out[matrix] = transposed ? element(j, i) | element(j + 1, i) << 16 : element(i, j) | element(i, j + 1) << 16;
  }
}

// 16 bytes from global to shared memory; only the first `valid` are read, the rest become zeros.
static inline void copy_async_16(void *shared, const void *global, int valid) {
  Thread &t = *sim_thread;
  const bool aligned = (uintptr_t)shared % 16 == 0 && (uintptr_t)global % 16 == 0;
  if (!aligned) sim_fail(716, "cp.async copies what is not aligned to 16 bytes");
  if (t.copy_count == 64) sim_fail(719, "the simulator holds 64 copies of a thread that are under way");
  t.copies[t.copy_count++] = {(char *)shared, (const char *)global, 16, valid};
}
static inline void commit_copies() {
  Thread &t = *sim_thread;
  if (t.group_count == 8) sim_fail(719, "the simulator holds 8 groups of copies that are under way");
  t.group_ends[t.group_count++] = t.copy_count;
}
// Waits until at most `pending` groups of copies are under way.
template <int pending> static inline void wait_copies() {
  Thread &t = *sim_thread;
  const int groups = t.group_count - pending;
  if (groups <= 0) return;
  const int done = t.group_ends[groups - 1];
  for (int i = 0; i < done; i++) {
    const PendingCopy &c = t.copies[i];
    for (int byte = 0; byte < c.bytes; byte++) c.to[byte] = byte < c.valid ? c.from[byte] : 0;
  }
  for (int i = done; i < t.copy_count; i++) t.copies[i - done] = t.copies[i];
  for (int i = groups; i < t.group_count; i++) t.group_ends[i - groups] = t.group_ends[i] - done;
  t.copy_count -= done, t.group_count -= groups;
}

// --- Launching: the addresses of the parameters become the parameters ---

template <unsigned... I> struct Numbers {};
template <unsigned N, unsigned... I> struct Counted : Counted<N - 1, N - 1, I...> {};
template <unsigned... I> struct Counted<0, I...> { typedef Numbers<I...> type; };
template <class... A, unsigned... I>
static inline void call_with(void (*kernel)(A...), void **parameters, Numbers<I...>) {
  kernel(*(A *)parameters[I]...);
}
template <class... A> static inline void sim_call(void (*kernel)(A...), void **parameters) {
  call_with(kernel, parameters, typename Counted<sizeof...(A)>::type());
}
template <class... A> static inline int sim_sizes(void (*)(A...), unsigned *sizes) {
  const unsigned all[] = {(unsigned)sizeof(A)..., 0};
  for (unsigned i = 0; i < sizeof...(A); i++) sizes[i] = all[i];
  return sizeof...(A);
}
