// The vector micro-kernels: a tile of C held in registers while k runs.
#pragma once
#include "gemm_pack.h"

// MR rows by two vectors of C stay in registers, next to two vectors of B and one word of A: 14·2 + 3 = 31 of 32
// registers, or 6·2 + 3 = 15 of 16. A step of k costs MR + 2 loads and 2·MR multiply-adds, so the multiply-adds, of which
// two start in a cycle, are the limit and not the loads.
#if defined(__AVX512F__) || defined(__aarch64__)
#define MR 14
#else
#define MR 6
#endif
#define NR (2 * LANES)

// Depth of a block of k. The panel of A (14 rows of 384 words, 21 KiB) stays in the first-level cache while panels of B
// pass by, and a tile of C is read and written once for so many steps.
#if defined(REAL_F32)
#define KC 384
#else
#define KC 512
#endif

// A panel of A holds up to MR rows for one block of k. By rows its pitch is KC words, by columns MR rounded up to whole
// vectors: constants, so that every load of a word is a fixed distance from one moving pointer.
#define A_ROW (KC / K_PER_WORD)
#define A_COLUMN ((MR + LANES - 1) / LANES * LANES)

// acc + a·b; for pairs of bf16 both products of each pair.
static inline __attribute__((always_inline)) vf multiply_add(vf acc, word a, vi b) {
  const vi everywhere = (vi){0} + a;
#if K_PER_WORD == 2
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)everywhere, (__m512bh)b);
#else
  return acc + (vf)everywhere * (vf)b;
#endif
}

// c[i][0..NR) = sum over p of a[i][p]·b[p], added to what c holds if `add`.
static inline __attribute__((always_inline)) void tile_product(const int rows, int64_t words, const word *a, const int64_t a_row,
                                                               const int64_t a_step, const word *b, float *c, int64_t c_row,
                                                               int add) {
  vf acc[MR][2];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = (vf){0};
  for (int64_t p = 0; p < words; p++, a += a_step, b += NR) {
    const vi b0 = *(const vi *)b, b1 = *(const vi *)(b + LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      acc[i][0] = multiply_add(acc[i][0], a[i * a_row], b0);
      acc[i][1] = multiply_add(acc[i][1], a[i * a_row], b1);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    vfu *out = (vfu *)(c + i * c_row);
    if (add) acc[i][0] += out[0], acc[i][1] += out[1];
    out[0] = acc[i][0], out[1] = acc[i][1];
  }
}

// Few rows against a B that is contiguous along k (a weight [n, k] at decode): packing would cost more than the products.
// Blocks of LANES x LANES words are transposed in registers and used at once. c[i][0..LANES).
static inline __attribute__((always_inline)) void stream_product(const int rows, int64_t words, int64_t depth, const word *a,
                                                                 View b, int64_t columns, float *c, int64_t c_row, int add) {
  vf acc[MR];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) acc[i] = (vf){0};
  int64_t p = 0;
  for (; p + LANES <= words; p += LANES, a += LANES) {
    vi block[LANES];
    load_transposed(view_at(b, 0, p * K_PER_WORD), columns, depth - p * K_PER_WORD, block);
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++)
#pragma GCC unroll 16
      for (int i = 0; i < rows; i++) acc[i] = multiply_add(acc[i], a[i * A_ROW + q], block[q]);
  }
  if (p < words) {
    vi block[LANES];
    load_transposed(view_at(b, 0, p * K_PER_WORD), columns, depth - p * K_PER_WORD, block);
    for (int q = 0; p + q < words; q++)
#pragma GCC unroll 16
      for (int i = 0; i < rows; i++) acc[i] = multiply_add(acc[i], a[i * A_ROW + q], block[q]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    vfu *out = (vfu *)(c + i * c_row);
    if (add) acc[i] += *out;
    *out = acc[i];
  }
}

// One instance for every number of rows, so that a short panel costs no more than its rows.
#if MR == 14
#define FOR_EACH_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#else
#define FOR_EACH_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6)
#endif

static void tile_of_rows(int64_t rows, int64_t words, const word *a, const word *b, float *c, int64_t c_row, int add) {
#define CASE(r) case r: tile_product(r, words, a, A_ROW, 1, b, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}

static void tile_of_columns(int64_t rows, int64_t words, const word *a, const word *b, float *c, int64_t c_row, int add) {
#define CASE(r) case r: tile_product(r, words, a, 1, A_COLUMN, b, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}

static void stream(int64_t rows, int64_t words, int64_t depth, const word *a, View b, int64_t columns, float *c,
                   int64_t c_row, int add) {
#define CASE(r) case r: stream_product(r, words, depth, a, b, columns, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}
