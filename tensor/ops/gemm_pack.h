// Packing: the words that the micro-kernels read, and the panels that hold them.
//
// A word is 32 bits. It holds one f32 of the k axis, or, where bf16 products are computed by dot-product or tile
// instructions, two neighbouring bf16 of the k axis. Without such instructions bf16 is widened to f32 while packing.
#pragma once
#include "kernel.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(REAL_BF16) && defined(__AVX512BF16__)
#define K_PER_WORD 2
#else
#define K_PER_WORD 1
#endif

// A kernel's inner parts must become one function, or its tile would leave the registers between them.
#define INLINE static inline __attribute__((always_inline))

typedef int32_t word;
typedef int32_t viu __attribute__((vector_size(4 * LANES), aligned(2), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef uint16_t vhu __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// LANES 16-bit numbers as 32 bits. GCC splits this conversion in halves, hence the intrinsic.
static inline vi widened(const uint16_t *p) {
#if LANES == 16
  return (vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
#else
  return __builtin_convertvector(*(const vhu *)p, vi);
#endif
}

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
  return widened(p) | widened(p + step) << 16;
}
#else
static inline word word_at(const real *p, int64_t step, int64_t left) {
  (void)step, (void)left;
  return (word)((uint32_t)*p << 16);
}
static inline vi words_along(const real *p) {
  return widened(p) << 16;
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
INLINE void interleave_rows(const vi from[LANES], vi to[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES / 2; i++) {
    to[2 * i] = __builtin_shufflevector(from[i], from[i + LANES / 2], INTERLEAVE_LOW);
    to[2 * i + 1] = __builtin_shufflevector(from[i], from[i + LANES / 2], INTERLEAVE_HIGH);
  }
}
INLINE void transpose(vi rows[LANES]) {
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

// LANES columns (along outer) of LANES words (along k) become LANES words of LANES columns. Whatever lies beyond
// `count` columns or `depth` k is zero.
static __attribute__((noinline)) void load_transposed_edge(View v, int64_t count, int64_t depth, vi block[LANES]) {
  memset(block, 0, LANES * sizeof(vi));
  for (int p = 0; p < LANES && p * K_PER_WORD < depth; p++)
    for (int j = 0; j < LANES && j < count; j++)
      ((word *)block)[p * LANES + j] = word_at(v.data + j * v.outer + p * K_PER_WORD, 1, depth - p * K_PER_WORD);
}
INLINE void load_transposed(View v, int64_t count, int64_t depth, vi block[LANES]) {
  if (depth < LANES * K_PER_WORD) {
    load_transposed_edge(v, count, depth, block);
    return;
  }
#pragma GCC unroll 16
  for (int j = 0; j < LANES; j++) block[j] = j < count ? words_along(v.data + j * v.outer) : (vi){0};
  transpose(block);
}

// A panel by columns: [words][width], `width` a multiple of LANES of which `count` exist; the rest is zero, and so is
// what lies beyond `depth`. This is what vector loads want of B, and the form of an A whose rows are not contiguous.
static void pack_columns(View v, int64_t count, int64_t depth, int64_t words, int64_t width, word *panel) {
  const int64_t whole = depth / K_PER_WORD;
  int64_t done = 0; // words that are packed
  if (v.outer == 1 && count >= width) {
    for (; done < whole; done++)
      for (int64_t j = 0; j < width; j += LANES)
        *(vi *)(panel + done * width + j) = words_across(v.data + done * K_PER_WORD * v.inner + j, v.inner);
  } else if (v.inner == 1) {
    for (; done < words; done += LANES)
      for (int64_t j = 0; j < width; j += LANES) {
        vi block[LANES];
        load_transposed(view_at(v, j, done * K_PER_WORD), count - j, depth - done * K_PER_WORD, block);
        for (int64_t q = 0; q < LANES && done + q < words; q++) *(vi *)(panel + (done + q) * width + j) = block[q];
      }
  }
  for (int64_t p = done; p < words; p++)
    for (int64_t j = 0; j < width; j++) {
      const int64_t k = p * K_PER_WORD;
      const int inside = j < count && k < depth;
      panel[p * width + j] = inside ? word_at(v.data + j * v.outer + k * v.inner, v.inner, depth - k) : 0;
    }
}

// A panel by rows: [count][pitch], `words` of each row filled, with zero beyond `depth`. An operand contiguous along k
// is copied, one contiguous along m or n is transposed.
static void pack_rows(View v, int64_t count, int64_t depth, int64_t words, int64_t pitch, word *panel) {
  const int64_t whole = depth / K_PER_WORD;
  int64_t done = 0;
  if (v.outer == 1 && count % LANES == 0) {
    for (; done + LANES <= whole; done += LANES)
      for (int64_t i = 0; i < count; i += LANES) {
        vi block[LANES];
#pragma GCC unroll 16
        for (int q = 0; q < LANES; q++)
          block[q] = words_across(v.data + i + (done + q) * K_PER_WORD * v.inner, v.inner);
        transpose(block);
#pragma GCC unroll 16
        for (int q = 0; q < LANES; q++) *(vi *)(panel + (i + q) * pitch + done) = block[q];
      }
  } else if (v.inner == 1) {
    const int64_t vectors = whole / LANES * LANES;
    for (int64_t i = 0; i < count; i++)
      for (int64_t p = 0; p < vectors; p += LANES)
        *(viu *)(panel + i * pitch + p) = words_along(v.data + i * v.outer + p * K_PER_WORD);
    done = vectors;
  }
  for (int64_t i = 0; i < count; i++)
    for (int64_t p = done; p < words; p++) {
      const int64_t k = p * K_PER_WORD;
      const real *from = v.data + i * v.outer + k * v.inner;
      panel[i * pitch + p] = k < depth ? word_at(from, v.inner, depth - k) : 0;
    }
}
