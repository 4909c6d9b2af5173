// The prelude of every CPU kernel.
//
// A kernel is `int32_t name(const uint64_t *args)`: one block of 8-byte slots, each holding an address, an i64, or the
// bits of an f32 in its low half. Sources are compiled once per element type, with -DREAL_F32 or -DREAL_BF16 (and with
// -DREAL_I32 those that mention it); `real` is that type in memory, `arith` the one to compute with: f32, or i32 for i32.
// KERNEL(softmax) therefore defines softmax_f32 and softmax_bf16.
//
// Results must not depend on the number of threads nor on what else is in the batch: a row is reduced by one thread, in
// an order fixed by the row's length alone.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(_OPENMP)
#include <omp.h>
#else
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_num_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
static inline int omp_in_parallel(void) { return 0; }
#endif

typedef uint16_t bf16;

#if defined(REAL_BF16)
typedef bf16 real;
typedef float arith;
#define KERNEL(name) int32_t name##_bf16(const uint64_t *args)
#elif defined(REAL_I32)
typedef int32_t real;
typedef int32_t arith;
#define KERNEL(name) int32_t name##_i32(const uint64_t *args)
#else
typedef float real;
typedef float arith;
#define KERNEL(name) int32_t name##_f32(const uint64_t *args)
#endif

// Status codes shared with tensor/backend/cpu.ts.
enum { OK = 0, OUT_OF_MEMORY = 1, INDEX_OUT_OF_RANGE = 2 };

// Argument slots.
#define POINTER(T, i) ((T *)(uintptr_t)args[i])
#define INTEGER(i) ((int64_t)args[i])
static inline float float_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
#define FLOAT(i) float_bits((uint32_t)args[i])

// bf16 is the high half of an f32; storing rounds to nearest, ties to even, and keeps NaN a NaN.
static inline float f32_of_bf16(bf16 value) { return float_bits((uint32_t)value << 16); }
static inline bf16 bf16_of_f32(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (bf16)(value != value ? (bits >> 16) | 0x40 : rounded);
}

#if defined(REAL_BF16)
static inline arith load(const real *p) { return f32_of_bf16(*p); }
static inline void store(real *p, arith value) { *p = bf16_of_f32(value); }
#else
static inline arith load(const real *p) { return *p; }
static inline void store(real *p, arith value) { *p = value; }
#endif

// Native vector width in floats; `vf` is that many floats, `vfu` the same at any alignment.
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef float vfu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));

// Work below this many scalar operations is not worth waking a second thread for.
#define PARALLEL_WORK 32768

// The next of the numbers 0, 1, … that threads share: whoever is free takes it. In a dynamic `omp for` a thread is not told
// its next number before it is done with the one it has.
static inline int64_t take(int64_t *taken) {
  int64_t number;
#pragma omp atomic capture
  number = (*taken)++;
  return number;
}
