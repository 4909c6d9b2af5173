// The vector micro-kernels: a tile of C held in registers while k runs.
#pragma once
#include "gemm.h"

// MR rows by two vectors of C stay in registers, next to two vectors of B and one word of A: 14·2 + 3 = 31 of 32
// registers, or 6·2 + 3 = 15 of 16. A step of k costs MR + 2 loads and 2·MR multiply-adds, so the multiply-adds, of
// which two start in a cycle, are the limit and not the loads.
#if defined(__AVX512F__) || defined(__aarch64__)
#define MR 14
#else
#define MR 6
#endif

// A panel of A holds up to MR rows for one block of k. By rows its pitch is KC words, by columns MR rounded up to whole
// vectors: constants, so that every load of a word is a fixed distance from one moving pointer.
#define A_ROW (KC / K_PER_WORD)
#define A_COLUMN ((MR + LANES - 1) / LANES * LANES)

// acc + a·b; for pairs of bf16 both products of each pair.
INLINE vf multiply_add(vf acc, word a, vi b) {
  const vi everywhere = (vi){0} + a;
#if K_PER_WORD == 2
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)everywhere, (__m512bh)b);
#else
  return acc + (vf)everywhere * (vf)b;
#endif
}

// The same with `a` read by the multiply-add itself, where there is such an instruction.
INLINE vf multiply_add_from(vf acc, const word *a, vi b) {
#if defined(__AVX512F__) && K_PER_WORD == 2
  __asm__("vdpbf16ps %1%{1to16%}, %2, %0" : "+v"(acc) : "m"(*a), "v"(b));
  return acc;
#elif defined(__AVX512F__)
  __asm__("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(acc) : "m"(*a), "v"(b));
  return acc;
#else
  return multiply_add(acc, *a, b);
#endif
}

// acc[v] + a·b[v] for row number `row`. A word of A is broadcast once for all vectors of B, or read by each multiply-add:
// fewer instructions, more reads. Rows in turn do the one or the other, so that neither fetching instructions nor reading
// holds up the multipliers, least of all when the core's other thread takes its half of both.
INLINE void multiply_row(vf *acc, const word *a, const vi *b, const int vectors, const int row) {
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++)
    acc[v] = row % 2 ? multiply_add_from(acc[v], a, b[v]) : multiply_add(acc[v], *a, b[v]);
}

// c[i][0..NR) = sum over p of a[i][p]·b[p], added to what c holds if `add`.
INLINE void vector_product(const int rows, int64_t words, const word *a, const int64_t a_row, const int64_t a_step,
                           const word *b, float *c, int64_t c_row, int add) {
  vf acc[MR][2];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = (vf){0};
#pragma GCC unroll 2
  for (int64_t p = 0; p < words; p++, a += a_step, b += NR) {
    const vi vectors[2] = {*(const vi *)b, *(const vi *)(b + LANES)};
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) multiply_row(acc[i], a + i * a_row, vectors, 2, i);
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    vfu *out = (vfu *)(c + i * c_row);
    if (add) acc[i][0] += out[0], acc[i][1] += out[1];
    out[0] = acc[i][0], out[1] = acc[i][1];
  }
}

// Few rows against a B that is contiguous along k (a weight [n, k] at decode): packing would cost more than the
// products. Blocks of LANES x LANES words are transposed in registers and used at once. c[i][0..LANES).
INLINE void stream_product(const int rows, int64_t words, int64_t depth, const word *a, View b, int64_t columns,
                           float *c, int64_t c_row, int add) {
  vf acc[MR];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) acc[i] = (vf){0};
  for (int64_t p = 0; p < words; p += LANES, a += LANES) {
    vi block[LANES];
    load_transposed(view_at(b, 0, p * K_PER_WORD), columns, depth - p * K_PER_WORD, block);
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++) {
      if (q >= words - p) break;
#pragma GCC unroll 16
      for (int i = 0; i < rows; i++) acc[i] = multiply_add(acc[i], a[i * A_ROW + q], block[q]);
    }
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

static void product_of_rows(int64_t rows, int64_t words, const word *a, const word *b, float *c, int64_t c_row,
                            int add) {
#define CASE(r) case r: vector_product(r, words, a, A_ROW, 1, b, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}

static void product_of_columns(int64_t rows, int64_t words, const word *a, const word *b, float *c, int64_t c_row,
                               int add) {
#define CASE(r) case r: vector_product(r, words, a, 1, A_COLUMN, b, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}

static void stream_rows(int64_t rows, int64_t words, int64_t depth, const word *a, View b, int64_t columns, float *c,
                        int64_t c_row, int add) {
#define CASE(r) case r: stream_product(r, words, depth, a, b, columns, c, c_row, add); break;
  switch (rows) { FOR_EACH_ROWS(CASE) }
#undef CASE
}

// One block of k, with panels of nearly equal numbers of rows.
static void vector_block(const Product *p, View a, View b, int64_t depth, int add, Buffers *buffers) {
  const int64_t words = words_of(depth), panels = (p->m + MR - 1) / MR;
  const int streaming = panels == 1 && b.inner == 1 && !p->pairs.data, by_rows = a.inner == 1 || streaming;
  const int64_t width = streaming ? LANES : NR;
  if (!streaming) pack_panels(p, b, depth, words, buffers);
  for (int64_t panel = 0; panel < panels; panel++) {
    const int64_t i = p->m * panel / panels, rows = p->m * (panel + 1) / panels - i;
    if (by_rows)
      pack_rows(view_at(a, i, 0), rows, depth, words, A_ROW, buffers->a);
    else
      pack_columns(view_at(a, i, 0), smaller(p->m - i, A_COLUMN), depth, words, A_COLUMN, buffers->a);
    for (int64_t j = 0; j < p->n; j += width) {
      const int64_t columns = smaller(width, p->n - j);
      const int direct = p->wide && columns == width;
      float *c = direct ? wide_at(p, i, j) : buffers->tile;
      const int64_t c_row = direct ? p->c_row : NR;
      if (streaming)
        stream_rows(rows, words, depth, buffers->a, view_at(b, j, 0), columns, c, c_row, direct && add);
      else if (by_rows)
        product_of_rows(rows, words, buffers->a, panel_of(p, j, words, buffers), c, c_row, direct && add);
      else
        product_of_columns(rows, words, buffers->a, panel_of(p, j, words, buffers), c, c_row, direct && add);
      if (!direct) write_tile(p, buffers->tile, NR, i, j, rows, columns, add);
    }
  }
}
