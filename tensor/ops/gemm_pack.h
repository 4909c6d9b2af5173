// Packing: the words that the micro-kernels read, and the panels that hold them.
//
// A word is 32 bits. It holds one f32 of the k axis, or, where bf16 products are computed by dot-product or tile
// instructions, two neighbouring bf16 of the k axis. Without such instructions bf16 is widened to f32 while packing.
#pragma once
#include "kernel.h"

#if defined(REAL_BF16) && defined(__AVX512BF16__)
#include <immintrin.h>
#define K_PER_WORD 2
#else
#define K_PER_WORD 1
#endif

typedef int32_t word;
typedef int32_t viu __attribute__((vector_size(4 * LANES), aligned(2), may_alias));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef uint16_t vhu __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// A view of one operand: `outer` steps along m (for A) or n (for B), `inner` along k.
typedef struct {
  const real *data;
  int64_t outer, inner;
} View;

static inline View view_at(View v, int64_t outer, int64_t inner) {
  return (View){v.data + outer * v.outer + inner * v.inner, v.outer, v.inner};
}

#if defined(REAL_F32)
// One word, the LANES words that follow along k, and one word of LANES neighbours along m or n.
static inline word word_at(const real *p, int64_t step, int64_t left) {
  (void)step, (void)left;
  return (word)bits_of(*p);
}
static inline vi words_along(const real *p) { return *(const viu *)p; }
static inline vi words_across(const real *p, int64_t step) {
  (void)step;
  return *(const viu *)p;
}
#elif K_PER_WORD == 2
// `left` is how many k remain: the partner of an odd last k is zero.
static inline word word_at(const real *p, int64_t step, int64_t left) {
  return (word)(p[0] | (left > 1 ? (uint32_t)p[step] << 16 : 0));
}
static inline vi words_along(const real *p) { return *(const viu *)p; }
static inline vi words_across(const real *p, int64_t step) {
  const vh even = *(const vhu *)p, odd = *(const vhu *)(p + step);
  return __builtin_convertvector(even, vi) | __builtin_convertvector(odd, vi) << 16;
}
#else
static inline word word_at(const real *p, int64_t step, int64_t left) {
  (void)step, (void)left;
  return (word)((uint32_t)*p << 16);
}
static inline vi words_along(const real *p) {
  const vh narrow = *(const vhu *)p;
  return __builtin_convertvector(narrow, vi) << 16;
}
static inline vi words_across(const real *p, int64_t step) {
  (void)step;
  return words_along(p);
}
#endif

// Rows i and i + LANES/2 interleaved, LANES times halved, is a transpose: row i of the result holds column i.
#if LANES == 16
#define INTERLEAVE_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define INTERLEAVE_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define INTERLEAVE_LOW 0, 4, 1, 5
#define INTERLEAVE_HIGH 2, 6, 3, 7
#endif
static inline __attribute__((always_inline)) void interleave_rows(const vi from[LANES], vi to[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES / 2; i++) {
    to[2 * i] = __builtin_shufflevector(from[i], from[i + LANES / 2], INTERLEAVE_LOW);
    to[2 * i + 1] = __builtin_shufflevector(from[i], from[i + LANES / 2], INTERLEAVE_HIGH);
  }
}
static inline __attribute__((always_inline)) void transpose(vi rows[LANES]) {
  vi other[LANES];
  interleave_rows(rows, other);
  interleave_rows(other, rows);
#if LANES >= 8
  interleave_rows(rows, other);
#if LANES == 16
  interleave_rows(other, rows);
#else
  memcpy(rows, other, sizeof other);
#endif
#endif
}

// LANES columns (along outer) of LANES words (along k) become LANES words of LANES columns. Whatever lies beyond `count`
// columns or `depth` k is zero.
static inline __attribute__((always_inline)) void load_transposed(View v, int64_t count, int64_t depth, vi block[LANES]) {
  if (count >= LANES && depth >= LANES * K_PER_WORD) {
#pragma GCC unroll 16
    for (int j = 0; j < LANES; j++) block[j] = words_along(v.data + j * v.outer);
    transpose(block);
    return;
  }
  memset(block, 0, LANES * sizeof(vi));
  for (int p = 0; p < LANES && p * K_PER_WORD < depth; p++)
    for (int j = 0; j < LANES && j < count; j++)
      ((word *)block)[p * LANES + j] = word_at(v.data + j * v.outer + p * K_PER_WORD, 1, depth - p * K_PER_WORD);
}

// A panel by columns: [words][width], `width` a multiple of LANES of which `count` exist; the rest is zero. `words` is
// at least the words of `depth`; what is beyond `depth` is zero. This is what vector loads want of B, and the form of an
// A whose rows are not contiguous.
static void pack_columns(View v, int64_t count, int64_t depth, int64_t words, int64_t width, word *panel) {
  const int64_t whole = depth / K_PER_WORD;
  for (int64_t j = 0; j < width; j += LANES) {
    const View strip = view_at(v, j, 0);
    const int64_t left = count - j;
    int64_t p = 0;
    if (v.inner == 1 && left > 0) {
      for (; p < words && p * K_PER_WORD < depth; p += LANES) {
        vi block[LANES];
        load_transposed(view_at(strip, 0, p * K_PER_WORD), left, depth - p * K_PER_WORD, block);
        for (int64_t q = 0; q < LANES && p + q < words; q++) *(vi *)(panel + (p + q) * width + j) = block[q];
      }
    } else if (v.outer == 1 && left >= LANES) {
      for (; p < whole; p++)
        *(vi *)(panel + p * width + j) = words_across(strip.data + p * K_PER_WORD * v.inner, v.inner);
    }
    for (; p < words; p++)
      for (int64_t l = 0; l < LANES; l++) {
        const int64_t k = p * K_PER_WORD;
        const int inside = l < left && k < depth;
        panel[p * width + j + l] = inside ? word_at(strip.data + l * v.outer + k * v.inner, v.inner, depth - k) : 0;
      }
  }
}

// A panel by rows: [count][pitch], `words` of each row filled and zero beyond `depth`. For operands contiguous along k
// it is a copy; an operand contiguous along m or n is transposed.
static void pack_rows(View v, int64_t count, int64_t depth, int64_t words, int64_t pitch, word *panel) {
  const int64_t whole = depth / K_PER_WORD;
  for (int64_t i = 0; i < count; i++) {
    const View row = view_at(v, i, 0);
    int64_t p = 0;
    if (v.inner == 1)
      for (; p + LANES <= whole; p += LANES) *(vi *)(panel + i * pitch + p) = words_along(row.data + p * K_PER_WORD);
    for (; p < words; p++) {
      const int64_t k = p * K_PER_WORD;
      panel[i * pitch + p] = k < depth ? word_at(row.data + k * v.inner, v.inner, depth - k) : 0;
    }
  }
}
