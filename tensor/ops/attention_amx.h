// Packing bf16 rows for AMX: as left factors [rows, depth], or as pairs for right factors, along the row or across two.
#pragma once
#include "amx.h"
#include "attention_tiles.h"

// headDim rounded up to whole steps of a product.
static inline int64_t amx_depth(const Attention *a) { return (a->headDim + TILE_DEPTH - 1) / TILE_DEPTH * TILE_DEPTH; }

// row: [headDim] → [depth], zero-padded; no row gives zeros.
static void amx_pack_row(const Attention *a, const real *row, bf16 *packed) {
  const int64_t dims = row ? a->headDim : 0;
  if (dims) memcpy(packed, row, sizeof(bf16) * (size_t)dims);
  memset(packed + dims, 0, sizeof(bf16) * (size_t)(amx_depth(a) - dims));
}

// 16 rows → pairs along headDim, [depth / 2] × 16 columns of a matrix with `pitch` columns; no row gives zeros.
static void amx_pack_along(const Attention *a, const real *const rows[LANES], uint32_t *packed, int64_t pitch) {
  for (int64_t d = 0; d < a->headDim; d += TILE_DEPTH) {
    const __mmask32 inside = (__mmask32)(((uint64_t)1 << at_most(TILE_DEPTH, a->headDim - d)) - 1);
    vf block[LANES];
    for (int i = 0; i < LANES; i++)
      block[i] = rows[i] ? (vf)_mm512_maskz_loadu_epi16(inside, rows[i] + d) : (vf){0};
    transpose_block(block);
    for (int i = 0; i < LANES; i++) memcpy(packed + (d / 2 + i) * pitch, &block[i], sizeof block[i]);
  }
}

// Two rows → [width] pairs of one element of each; no row gives zeros.
static void amx_pack_across(const Attention *a, const real *even, const real *odd, uint32_t *packed) {
  for (int64_t d = 0; d < a->width; d += LANES) {
    const int64_t dims = a->headDim - d;
    const vi low = even ? (vi)load_vector(even + d, dims) : (vi){0};
    const vi high = odd ? (vi)load_vector(odd + d, dims) : (vi){0};
    const vi pairs = ((low >> 16) & 0xffff) | high;
    memcpy(packed + d, &pairs, sizeof pairs);
  }
}

// The row of a key of the stretch, NULL past the last one.
static inline const real *key_row_or_none(const Attention *a, const Stretch *s, Operand x, int64_t key) {
  return key < s->keys ? key_row(a, s, x, key) : NULL;
}
