// Products with weights of 8 bits: rows of x are quantised too, so that sums of products are sums of whole numbers, which
// are exact in any order. y = (Σ q·w)·(scale of the row)·(scale of the output).
//
// Weights lie in blocks of OUTPUTS outputs, and in them by groups of GROUP inputs: [blocks, groups, OUTPUTS, GROUP]. One
// vector then holds a group of every output of a block, and an instruction (vpdpbusd) adds the products of each with the
// same four inputs. It takes unsigned inputs, so 128 is added to them and 128·Σ w taken off the sum.
#include "scratch.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

enum { OUTPUTS = 16, GROUP = 4, OFFSET = 128 };
enum { ROW_TILE = 6, BLOCK_TILE = 4 }; // 24 of 32 registers are sums

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t groups_of(int64_t width) { return (width + GROUP - 1) / GROUP; }

// The largest absolute value; NaN if there is a NaN.
static float largest(const real *x, int64_t n) {
  float top = 0.0f;
  int bad = 0;
#pragma omp simd reduction(max : top) reduction(| : bad)
  for (int64_t i = 0; i < n; i++) {
    const float size = fabsf(load(x + i));
    top = size > top ? size : top;
    bad |= size != size;
  }
  return bad ? NAN : top;
}

static float inverse_of(float top) { return top > 0.0f && top < INFINITY ? 127.0f / top : 0.0f; }

// Slots: 0 packed, 1 scales, 2 sums, 3 weight: [out, in], 4 out, 5 in.
KERNEL(quantize_rows) {
  int8_t *packed = POINTER(int8_t, 0);
  float *scales = POINTER(float, 1);
  int32_t *sums = POINTER(int32_t, 2);
  const real *weight = POINTER(const real, 3);
  const int64_t outs = INTEGER(4), width = INTEGER(5), groups = groups_of(width);
#pragma omp parallel for if (outs * width > PARALLEL_WORK)
  for (int64_t block = 0; block < (outs + OUTPUTS - 1) / OUTPUTS; block++) {
    int8_t *to = packed + block * groups * OUTPUTS * GROUP;
    memset(to, 0, (size_t)(groups * OUTPUTS * GROUP));
    for (int64_t o = 0; o < smaller(OUTPUTS, outs - block * OUTPUTS); o++) {
      const int64_t out = block * OUTPUTS + o;
      const real *row = weight + out * width;
      const float top = largest(row, width), inverse = inverse_of(top);
      int32_t sum = 0;
      for (int64_t i = 0; i < width; i++) {
        const int32_t q = (int32_t)rintf(load(row + i) * inverse);
        to[(i / GROUP * OUTPUTS + o) * GROUP + i % GROUP] = (int8_t)q;
        sum += q;
      }
      scales[out] = top / 127.0f;
      sums[out] = sum;
    }
  }
  return OK;
}

// Quantised rows of x: unsigned bytes, OFFSET more than the number they stand for.
typedef struct {
  const uint8_t *bytes; // [rows, groups · GROUP]
  const float *scales;  // [rows]
} Inputs;

typedef struct {
  const int8_t *packed;
  const float *scales;
  const int32_t *sums;
  int64_t outs, groups;
} Weights;

#if defined(__AVX512VNNI__)
typedef __m512i Sums;
static inline Sums no_sums(void) { return _mm512_setzero_si512(); }
// By hand, because GCC moves the sums of many such products to memory and back when it writes the instruction.
static inline Sums add_products(Sums sums, const uint8_t *x, const int8_t *w) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(_mm512_set1_epi32(four)), "v"(_mm512_loadu_si512(w)));
  return sums;
}
#else
typedef int32_t Sums __attribute__((vector_size(4 * OUTPUTS)));
static inline Sums no_sums(void) { return (Sums){0}; }
static inline Sums add_products(Sums sums, const uint8_t *x, const int8_t *w) {
  for (int o = 0; o < OUTPUTS; o++) {
    int32_t sum = 0;
    for (int i = 0; i < GROUP; i++) sum += (int32_t)x[i] * w[o * GROUP + i];
    sums[o] += sum;
  }
  return sums;
}
#endif

// `rows` rows of x times `blocks` blocks of outputs; both are constants wherever it matters.
static inline __attribute__((always_inline)) void multiply_tile(const int rows, const int blocks, const Weights *w,
                                                                Inputs x, int64_t block, real *y) {
  Sums sums[ROW_TILE][BLOCK_TILE];
  const int64_t bytes = w->groups * GROUP, step = w->groups * OUTPUTS * GROUP;
  const int8_t *from = w->packed + block * step;
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++) sums[r][b] = no_sums();
  for (int64_t g = 0; g < w->groups; g++)
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
      for (int b = 0; b < blocks; b++)
        sums[r][b] = add_products(sums[r][b], x.bytes + r * bytes + g * GROUP, from + b * step + g * OUTPUTS * GROUP);
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < blocks; b++) {
      int32_t products[OUTPUTS];
      memcpy(products, &sums[r][b], sizeof products);
      const int64_t first = (block + b) * OUTPUTS;
      for (int64_t o = 0; o < smaller(OUTPUTS, w->outs - first); o++) {
        const int32_t sum = products[o] - OFFSET * w->sums[first + o];
        store(y + r * w->outs + first + o, (float)sum * (x.scales[r] * w->scales[first + o]));
      }
    }
}

#define FOR_EACH_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6)
static void multiply_tiles(int64_t rows, const Weights *w, Inputs x, int64_t block, int64_t blocks, real *y) {
#define WIDE(r) case r: multiply_tile(r, BLOCK_TILE, w, x, block, y); return;
#define NARROW(r) case r: multiply_tile(r, 1, w, x, block + b, y); break;
  if (blocks == BLOCK_TILE) {
    switch (rows) { FOR_EACH_ROWS(WIDE) }
  }
  for (int64_t b = 0; b < blocks; b++) {
    switch (rows) { FOR_EACH_ROWS(NARROW) }
  }
}

// Slots: 0 y, 1 x, 2 packed, 3 scales, 4 sums, 5 rows, 6 out, 7 in.
KERNEL(linear_int8) {
  real *y = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const int64_t rows = INTEGER(5), outs = INTEGER(6), width = INTEGER(7), groups = groups_of(width);
  const Weights w = {POINTER(const int8_t, 2), POINTER(const float, 3), POINTER(const int32_t, 4), outs, groups};
  const int64_t bytes = groups * GROUP, blocks = (outs + OUTPUTS - 1) / OUTPUTS;
  float *scales = thread_scratch((size_t)(rows + (rows * bytes + 3) / 4));
  if (!scales) return OUT_OF_MEMORY;
  uint8_t *quantised = (uint8_t *)(scales + rows);
  for (int64_t r = 0; r < rows; r++) {
    const float top = largest(x + r * width, width), inverse = inverse_of(top);
    uint8_t *to = quantised + r * bytes;
    for (int64_t i = 0; i < width; i++) to[i] = (uint8_t)((int32_t)rintf(load(x + r * width + i) * inverse) + OFFSET);
    memset(to + width, OFFSET, (size_t)(bytes - width));
    scales[r] = top / 127.0f; // a row that is not finite gives numbers that are not finite
  }
  const int64_t strips = (blocks + BLOCK_TILE - 1) / BLOCK_TILE;
#pragma omp parallel for schedule(static) if ((rows + 8) * outs * width > 16 * PARALLEL_WORK)
  for (int64_t strip = 0; strip < strips; strip++) {
    const int64_t block = strip * BLOCK_TILE, count = smaller(BLOCK_TILE, blocks - block);
    for (int64_t r = 0; r < rows; r += ROW_TILE) {
      const Inputs part = {quantised + r * bytes, scales + r};
      multiply_tiles(smaller(ROW_TILE, rows - r), &w, part, block, count, y + r * outs);
    }
  }
  return OK;
}
