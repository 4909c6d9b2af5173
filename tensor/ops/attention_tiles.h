// Tiles of q, k and v as f32, and the product of two such tiles, for any vector width.
#pragma once
#include "attention.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// LANES elements at p as f32.
static inline vf load_whole_vector(const real *p) {
#if defined(REAL_BF16) && defined(__AVX512F__)
  // GCC splits this conversion in halves, hence the intrinsic.
  return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#elif defined(REAL_BF16)
  typedef bf16 halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
  return (vf)(__builtin_convertvector(*(const halves *)p, vi) << 16);
#else
  return *(const vfu *)p;
#endif
}

// The first `count` elements at p as f32, zeros after them.
static inline vf load_vector(const real *p, int64_t count) {
  if (count >= LANES) return load_whole_vector(p);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __mmask16 inside = (__mmask16)((1u << count) - 1);
#if defined(REAL_BF16)
  return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, p)), 16);
#else
  return (vf)_mm512_maskz_loadu_ps(inside, p);
#endif
#endif
  real padded[LANES] = {0};
  memcpy(padded, p, sizeof(real) * (size_t)count);
  return load_whole_vector(padded);
}

// row: [headDim] → f32 [width], multiplied by `factor`, zero-padded.
static inline void pack_row(const Attention *a, const real *row, float factor, float *packed) {
  for (int64_t d = 0; d < a->width; d += LANES)
    *(vf *)(packed + d) = factor * load_vector(row + d, a->headDim - d);
}

// Keys [tile, tile + KEY_TILE) → f32 [KEY_TILE, width], zeros in the rows past the last key.
static inline void pack_keys(const Attention *a, const Stretch *s, Operand x, int64_t tile, float *packed) {
  const int64_t keys = at_most(KEY_TILE, s->keys - tile);
  for (int64_t j = 0; j < keys; j++) pack_row(a, key_row(a, s, x, tile + j), 1.0f, packed + j * a->width);
  memset(packed + keys * a->width, 0, sizeof(float) * (size_t)((KEY_TILE - keys) * a->width));
}

#if LANES == 16
#define INTERLEAVE_LOW(x, y) \
  __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(x, y) \
  __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define INTERLEAVE_LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(x, y) __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define INTERLEAVE_LOW(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#endif

static inline __attribute__((always_inline)) void interleave_halves(const vf from[LANES], vf to[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES / 2; i++) {
    to[2 * i] = INTERLEAVE_LOW(from[i], from[i + LANES / 2]);
    to[2 * i + 1] = INTERLEAVE_HIGH(from[i], from[i + LANES / 2]);
  }
}

// A LANES × LANES block, transposed: each round interleaves the upper half of the rows with the lower half, and after
// log2(LANES) rounds row and column have changed places.
static inline __attribute__((always_inline)) void transpose_block(vf block[LANES]) {
  vf other[LANES];
  interleave_halves(block, other);
  interleave_halves(other, block);
#if LANES >= 8
  interleave_halves(block, other);
#if LANES == 16
  interleave_halves(other, block);
#else
  memcpy(block, other, sizeof other);
#endif
#endif
}

// Elements [0, dims) of `keys` ≤ LANES rows from `first` on, dims ≤ LANES: [LANES dims][LANES keys], zeros elsewhere.
static inline __attribute__((always_inline)) void load_keys_transposed(const real *first, int64_t step, int64_t keys,
                                                                       int64_t dims, vf block[LANES]) {
  if (keys >= LANES && dims == LANES)
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++) block[i] = load_whole_vector(first + i * step);
  else
    for (int64_t i = 0; i < LANES; i++) block[i] = i < keys ? load_vector(first + i * step, dims) : (vf){0};
  transpose_block(block);
}

// Keys [tile, tile + KEY_TILE) → f32 [headDim, KEY_TILE], zeros in the columns past the last key.
static inline void pack_keys_transposed(const Attention *a, const Stretch *s, Operand x, int64_t tile, float *packed) {
  const int64_t keys = at_most(KEY_TILE, s->keys - tile);
  for (int64_t j = 0; j < KEY_TILE; j += LANES) {
    if (j >= keys) {
      for (int64_t d = 0; d < a->headDim; d++) *(vf *)(packed + d * KEY_TILE + j) = (vf){0};
      continue;
    }
    const real *first = key_row(a, s, x, tile + j);
    for (int64_t d = 0; d < a->headDim; d += LANES) {
      const int64_t dims = at_most(LANES, a->headDim - d);
      vf block[LANES];
      load_keys_transposed(first + d, x.token, keys - j, dims, block);
      for (int64_t i = 0; i < dims; i++) *(vf *)(packed + (d + i) * KEY_TILE + j) = block[i];
    }
  }
}

// Accumulators of the tile product: ROW_GROUP × COLUMN_VECTORS, about three quarters of the vector registers.
enum { ROW_GROUP = 6 };
#if defined(__AVX512F__) || defined(__aarch64__)
enum { COLUMN_VECTORS = 4 };
#else
enum { COLUMN_VECTORS = 2 };
#endif

typedef struct {
  const float *data;
  int64_t row, column; // strides in floats
} Matrix;

// c[r][n] += Σ_k a[r][k]·b[k][n] for `rows` × `vectors`·LANES results; b and c have contiguous columns. Every result is
// one chain of multiply-adds in the order of k, so it does not depend on how rows and columns are grouped.
static inline __attribute__((always_inline)) void multiply_add_block(const int rows, const int vectors, int64_t depth,
                                                                     Matrix a, const float *b, int64_t bRow, float *c,
                                                                     int64_t cRow) {
  vf sum[ROW_GROUP][COLUMN_VECTORS];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[r][v] = *(const vfu *)(c + r * cRow + v * LANES);
  for (int64_t k = 0; k < depth; k++) {
    const vfu *row = (const vfu *)(b + k * bRow);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      const float x = a.data[r * a.row + k * a.column];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[r][v] += x * row[v];
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) *(vfu *)(c + r * cRow + v * LANES) = sum[r][v];
}

static inline __attribute__((always_inline)) void multiply_add_rows(const int rows, int64_t vectors, int64_t depth,
                                                                    Matrix a, const float *b, int64_t bRow, float *c,
                                                                    int64_t cRow) {
  switch (vectors) {
  case 1: multiply_add_block(rows, 1, depth, a, b, bRow, c, cRow); break;
  case 2: multiply_add_block(rows, 2, depth, a, b, bRow, c, cRow); break;
#if defined(__AVX512F__) || defined(__aarch64__)
  case 3: multiply_add_block(rows, 3, depth, a, b, bRow, c, cRow); break;
  case 4: multiply_add_block(rows, 4, depth, a, b, bRow, c, cRow); break;
#endif
  }
}

// c: [rows, columns] += a: [rows, depth] · b: [depth, columns]; `columns` is a multiple of LANES.
static void multiply_add(int64_t rows, int64_t columns, int64_t depth, Matrix a, const float *b, int64_t bRow, float *c,
                         int64_t cRow) {
  if (depth <= 0) return;
  for (int64_t n = 0; n < columns; n += COLUMN_VECTORS * LANES) {
    const int64_t vectors = at_most(COLUMN_VECTORS, (columns - n) / LANES);
    for (int64_t r = 0; r < rows;) {
      const int64_t left = rows - r;
      const Matrix rest = {a.data + r * a.row, a.row, a.column};
      float *sums = c + r * cRow + n;
      if (left >= 6) multiply_add_rows(6, vectors, depth, rest, b + n, bRow, sums, cRow), r += 6;
      else if (left >= 4) multiply_add_rows(4, vectors, depth, rest, b + n, bRow, sums, cRow), r += 4;
      else if (left >= 2) multiply_add_rows(2, vectors, depth, rest, b + n, bRow, sums, cRow), r += 2;
      else multiply_add_rows(1, vectors, depth, rest, b + n, bRow, sums, cRow), r += 1;
    }
  }
}
