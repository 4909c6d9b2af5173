// Attention forward for one query of a sequence, as each step of generation asks for it. A tile of keys and values then
// serves the few heads that share it, once: they are used where they lie, in the order of attention.c, so the bits are
// the same as those of the query among others.
#pragma once
#include "attention_softmax.h"
#include "attention_tiles.h"

// Heads that share a load, and the most that this is worth it for.
enum { ONE_GROUP = 4, FEW_HEADS = 8 };

// sum[r] += q[r]·Kᵀ for `rows` heads, LANES keys and `dims` ≤ LANES dims, which are LANES where all are `whole`. Past the
// last of `keys` stands that key again: nobody looks at its scores there.
static inline __attribute__((always_inline)) void add_scores(const int rows, const int whole, const Attention *a,
                                                             const float *q, const real *first, int64_t keys,
                                                             int64_t dims, vf *sum) {
  vf block[LANES];
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++) {
    const real *row = first + at_most(i, keys - 1) * a->k.token;
    block[i] = whole ? load_whole_vector(row) : load_vector(row, dims);
  }
  transpose_block(block);
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++) {
    if (!whole && i >= dims) break;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) sum[r] += q[r * a->width + i] * block[i];
  }
}

// scores[r][0..LANES) for `rows` heads and `keys` ≤ LANES keys from `key` on. What follows them is nobody's.
static inline __attribute__((always_inline)) void score_lanes(const int rows, const Attention *a, const Stretch *s,
                                                              const float *q, int64_t key, int64_t keys, float *scores) {
  const real *first = key_row(a, s, a->k, key);
  vf sum[ONE_GROUP];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) sum[r] = (vf){0};
  int64_t d = 0;
  for (; d + LANES <= a->headDim; d += LANES) {
    add_scores(rows, 1, a, q + d, first + d, keys, LANES, sum);
    fetch_ahead(s->ahead, LANES * LANES * (int64_t)sizeof(real));
  }
  if (d < a->headDim) add_scores(rows, 0, a, q + d, first + d, keys, a->headDim - d, sum);
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) *(vf *)(scores + r * KEY_TILE) = sum[r];
}

// o[r] += p[r]·V for `rows` heads, keys [from, to) of the tile that starts at key `tile`, and `vectors` vectors of V, of
// which all are `whole` or the last may end before.
static inline __attribute__((always_inline)) void add_value_vectors(const int rows, const int vectors, const int whole,
                                                                    const Attention *a, const Stretch *s, int64_t tile,
                                                                    Range keys, const float *p, int64_t d, float *o) {
  vf sum[ONE_GROUP][COLUMN_VECTORS];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[r][v] = *(vf *)(o + r * a->width + d + v * LANES);
  for (int64_t j = keys.from; j < keys.to;) {
    const real *row = key_row(a, s, a->v, tile + j) + d;
    const int64_t end = at_most(keys.to, j / LANES * LANES + LANES); // one run up to there
    for (; j < end; j++, row += a->v.token) {
      vf values[COLUMN_VECTORS];
      fetch_ahead(s->ahead, vectors * LANES * (int64_t)sizeof(real));
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++)
        values[v] = whole ? load_whole_vector(row + v * LANES) : load_vector(row + v * LANES, a->headDim - d - v * LANES);
#pragma GCC unroll 4
      for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] += p[r * KEY_TILE + j] * values[v];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) *(vf *)(o + r * a->width + d + v * LANES) = sum[r][v];
}

// `rows` heads from `row` on against the tile of keys that starts at `tile`.
static inline __attribute__((always_inline)) void attend_heads(const int rows, const Attention *a, const Stretch *s,
                                                               const Rows *block, int64_t row, int64_t tile,
                                                               const float *q, float *scores) {
  const Range keys = within_tile(block->visible[row], tile);
  for (int64_t j = keys.from / LANES * LANES; j < keys.to; j += LANES)
    score_lanes(rows, a, s, q, tile + j, at_most(LANES, s->keys - tile - j), scores + j);
  for (int r = 0; r < rows; r++) softmax_row(a, block, row + r, keys, scores + r * KEY_TILE);
  float *o = block->o + row * a->width;
  for (int64_t d = 0; d < a->width; d += COLUMN_VECTORS * LANES) {
    const int64_t vectors = at_most(COLUMN_VECTORS, (a->width - d) / LANES);
    const int whole = d + vectors * LANES <= a->headDim;
#define VECTORS(v) \
  case v: \
    if (whole) add_value_vectors(rows, v, 1, a, s, tile, keys, scores, d, o); \
    else add_value_vectors(rows, v, 0, a, s, tile, keys, scores, d, o); \
    break;
    switch (vectors) {
      VECTORS(1) VECTORS(2)
#if defined(__AVX512F__) || defined(__aarch64__)
      VECTORS(3) VECTORS(4)
#endif
    }
#undef VECTORS
  }
}

// All heads of a query against the tile of keys that starts at `tile`; q: [heads, width], scores: [ONE_GROUP, KEY_TILE].
static void attend_tile_in_place(const Attention *a, const Stretch *s, const Rows *block, int64_t heads, int64_t tile,
                                 const float *q, float *scores) {
  for (int64_t row = 0; row < heads;) {
    const int64_t left = heads - row;
    const float *from = q + row * a->width;
    if (left >= 4) attend_heads(4, a, s, block, row, tile, from, scores), row += 4;
    else if (left >= 2) attend_heads(2, a, s, block, row, tile, from, scores), row += 2;
    else attend_heads(1, a, s, block, row, tile, from, scores), row += 1;
  }
}
