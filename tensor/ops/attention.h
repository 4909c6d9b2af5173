// What attention forward and backward share: which keys a query sees, tiles packed as f32, and the product of two tiles.
//
// All queries of the heads that share one kv head are the rows of one matrix, query after query and head after head:
// row r of a sequence is query r / group of head kvHead·group + r % group. Keys come in tiles of KEY_TILE that start at
// multiples of KEY_TILE, whatever the queries.
#pragma once
#include "math.h"

enum { KEY_TILE = 64 };

// One [tokens, heads, headDim] operand; the last axis is contiguous. Strides count elements.
typedef struct {
  const real *data;
  int64_t token, head;
} Operand;

typedef struct {
  Operand q, k, v;
  const int32_t *queryOffsets, *keyStarts, *keyLengths;
  int64_t sequences, heads, kvHeads, group, headDim;
  int64_t width; // headDim rounded up to whole vectors
  int64_t window;
  int causal;
  float scale;
} Attention;

// The argument slots, from the first one after the tensors: sequence arrays, sizes, strides, masks, scale.
static inline Attention attention_of(const uint64_t *args, int first) {
  const uint64_t *slot = args + first;
  Attention a = {
      .queryOffsets = (const int32_t *)(uintptr_t)slot[0],
      .keyStarts = (const int32_t *)(uintptr_t)slot[1],
      .keyLengths = (const int32_t *)(uintptr_t)slot[2],
      .sequences = (int64_t)slot[3],
      .heads = (int64_t)slot[4],
      .kvHeads = (int64_t)slot[5],
      .headDim = (int64_t)slot[6],
      .q = {POINTER(const real, 0), (int64_t)slot[7], (int64_t)slot[8]},
      .k = {POINTER(const real, 1), (int64_t)slot[9], (int64_t)slot[10]},
      .v = {POINTER(const real, 2), (int64_t)slot[11], (int64_t)slot[12]},
      .causal = slot[13] != 0,
      .window = (int64_t)slot[14],
      .scale = float_bits((uint32_t)slot[15]),
  };
  a.group = a.kvHeads > 0 ? a.heads / a.kvHeads : 0;
  a.width = (a.headDim + LANES - 1) / LANES * LANES;
  const int64_t unlimited = (int64_t)1 << 40; // beyond any distance between a query and a key
  if (a.window <= 0 || a.window > unlimited) a.window = unlimited;
  return a;
}

static inline int64_t at_least(int64_t low, int64_t value) { return value < low ? low : value; }
static inline int64_t at_most(int64_t high, int64_t value) { return value > high ? high : value; }

// One sequence under one kv head.
typedef struct {
  int64_t kvHead, firstQuery, queries, firstKey, keys;
} Stretch;

static inline Stretch stretch_of(const Attention *a, int64_t sequence, int64_t kvHead) {
  const int64_t firstQuery = a->queryOffsets[sequence];
  return (Stretch){kvHead, firstQuery, a->queryOffsets[sequence + 1] - firstQuery, a->keyStarts[sequence],
                   a->keyLengths[sequence]};
}

// Whether every query belongs to one sequence, and all keys lie among the tokens; with `disjoint`, those of each sequence
// after those of the one before.
static inline int sequences_fit(const Attention *a, int64_t queryTokens, int64_t keyTokens, int disjoint) {
  int64_t end = 0;
  for (int64_t s = 0; s < a->sequences; s++) {
    const int64_t from = a->keyStarts[s], to = from + a->keyLengths[s];
    if (from < (disjoint ? end : 0) || to < from || to > keyTokens) return 0;
    if (a->queryOffsets[s + 1] < a->queryOffsets[s]) return 0;
    end = to;
  }
  return a->queryOffsets[0] == 0 && a->queryOffsets[a->sequences] == queryTokens;
}

static inline int64_t query_token(const Attention *a, const Stretch *s, int64_t row) {
  return s->firstQuery + row / a->group;
}
static inline int64_t query_head(const Attention *a, const Stretch *s, int64_t row) {
  return s->kvHead * a->group + row % a->group;
}

// Keys [from, to).
typedef struct {
  int64_t from, to;
} Range;

// The keys a row sees; both ends grow with the row.
static inline Range visible_keys(const Attention *a, const Stretch *s, int64_t row) {
  const int64_t position = s->keys - s->queries + row / a->group;
  const int64_t to = at_least(0, at_most(s->keys, a->causal ? position + 1 : position + a->window));
  const int64_t from = at_most(to, at_least(0, position - a->window + 1));
  return (Range){from, to};
}

// The part of `keys` inside the tile that starts at key `tile`, counted from there.
static inline Range within_tile(Range keys, int64_t tile) {
  const int64_t from = at_most(KEY_TILE, at_least(0, keys.from - tile));
  return (Range){from, at_least(from, at_most(KEY_TILE, keys.to - tile))};
}

// Products of a query with a key, summed over all sequences and heads: what decides whether to go parallel.
static inline int64_t attention_products(const Attention *a) {
  int64_t pairs = 0;
  for (int64_t s = 0; s < a->sequences; s++)
    pairs += (int64_t)(a->queryOffsets[s + 1] - a->queryOffsets[s]) * a->keyLengths[s];
  return pairs * a->heads * a->headDim;
}

// 2^x for x <= 126; 0 below -126, so that no result is subnormal. Adding 1.5·2^23 rounds x to an integer and leaves it
// in the low bits, where 127 more makes it the exponent field of 2^n. The polynomial is the minimax fit of 2^r, |r| <= ½.
static inline float exp2_f32(float x) {
  const float shifted = x + (12582912.0f + 127.0f);
  const float r = x - (shifted - (12582912.0f + 127.0f));
  float p = 1.5353362e-4f;
  p = __builtin_fmaf(p, r, 1.3398875e-3f);
  p = __builtin_fmaf(p, r, 9.6184369e-3f);
  p = __builtin_fmaf(p, r, 5.5503324e-2f);
  p = __builtin_fmaf(p, r, 2.4022648e-1f);
  p = __builtin_fmaf(p, r, 6.9314718e-1f);
  p = __builtin_fmaf(p, r, 1.0f);
  return x < -126.0f ? 0.0f : p * float_bits(bits_of(shifted) << 23);
}

// At least `count` floats that belong to this thread until its next call; NULL when there is no memory.
static inline float *thread_scratch(size_t count) {
  static _Thread_local float *data;
  static _Thread_local size_t capacity;
  if (count > capacity) {
    free(data);
    data = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    capacity = data ? count : 0;
  }
  return data;
}

// LANES elements at p as f32.
static inline vf load_whole_vector(const real *p) {
#if defined(REAL_BF16)
  typedef bf16 halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
  return (vf)(__builtin_convertvector(*(const halves *)p, vi) << 16);
#else
  return *(const vfu *)p;
#endif
}

// The first `count` elements at p as f32, zeros after them.
static inline vf load_vector(const real *p, int64_t count) {
  if (count >= LANES) return load_whole_vector(p);
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
  const real *row = x.data + (s->firstKey + tile) * x.token + s->kvHead * x.head;
  const int64_t keys = at_most(KEY_TILE, s->keys - tile);
  for (int64_t j = 0; j < keys; j++) pack_row(a, row + j * x.token, 1.0f, packed + j * a->width);
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

// A LANES × LANES block, transposed: each round interleaves the upper half of the rows with the lower half, and after
// log2(LANES) rounds row and column have changed places.
static inline void transpose_block(vf block[LANES]) {
  vf next[LANES];
  for (int round = 1; round < LANES; round *= 2) {
    for (int i = 0; i < LANES / 2; i++) {
      next[2 * i] = INTERLEAVE_LOW(block[i], block[i + LANES / 2]);
      next[2 * i + 1] = INTERLEAVE_HIGH(block[i], block[i + LANES / 2]);
    }
    for (int i = 0; i < LANES; i++) block[i] = next[i];
  }
}

// Keys [tile, tile + KEY_TILE) → f32 [headDim, KEY_TILE], zeros in the columns past the last key.
static inline void pack_keys_transposed(const Attention *a, const Stretch *s, Operand x, int64_t tile, float *packed) {
  const real *first = x.data + (s->firstKey + tile) * x.token + s->kvHead * x.head;
  const int64_t keys = at_most(KEY_TILE, s->keys - tile);
  for (int64_t j = 0; j < KEY_TILE; j += LANES)
    for (int64_t d = 0; d < a->headDim; d += LANES) {
      const int64_t dims = at_most(LANES, a->headDim - d);
      const real *row = first + j * x.token + d;
      vf block[LANES];
      if (j + LANES <= keys && dims == LANES)
        for (int64_t i = 0; i < LANES; i++) block[i] = load_whole_vector(row + i * x.token);
      else
        for (int64_t i = 0; i < LANES; i++) block[i] = j + i < keys ? load_vector(row + i * x.token, dims) : (vf){0};
      transpose_block(block);
      for (int64_t i = 0; i < dims; i++) *(vf *)(packed + (d + i) * KEY_TILE + j) = block[i];
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
