// Attention forward on AMX: the same blocks, tiles and formulas as attention.c, with q, k, v and the weights p as bf16
// factors of products that are summed in f32. Rows go through a key tile AMX_GROUP at a time: two tiles of rows, so
// that the weights of the first have reached the cache, where tile loads look for them, when those of the second are
// done.
//
// A masked weight is 0 and its value is multiplied all the same, which would hand a NaN to rows that do not see it. So
// a block that ends with one is computed again with care: row by row, with zeros in place of the masked values.
#pragma once
#include "attention_amx.h"
#include "attention_softmax.h"

enum { AMX_GROUP = 2 * TILE };

typedef struct {
  bf16 *q;       // [ROW_BLOCK, depth]
  uint32_t *k;   // [depth / 2, KEY_TILE] pairs along headDim
  uint32_t *v;   // [KEY_TILE / 2, width] pairs of keys
  float *scores; // [AMX_GROUP, KEY_TILE]
  bf16 *p;       // [AMX_GROUP, KEY_TILE]
  uint32_t *visible; // [KEY_TILE / 2, width]: v without the keys that a row does not see
  float *o;      // [AMX_GROUP, width]
  int careful;
} AmxTiles;

static size_t amx_tiles_bytes(const Attention *a) {
  const int64_t depth = amx_depth(a);
  return (size_t)(2 * ROW_BLOCK * depth + 2 * depth * KEY_TILE + (4 * KEY_TILE + 4 * AMX_GROUP) * a->width +
                  6 * AMX_GROUP * KEY_TILE);
}

// Keys of the tile that exist, rounded up to whole products: `unit` of them at a time.
static inline int64_t amx_keys(const Stretch *s, int64_t tile, int64_t unit) {
  return at_most(KEY_TILE, (s->keys - tile + unit - 1) / unit * unit);
}

// Rows of LANES keys from `key` on, which are always one run; NULL past the last one. Asks for as much of what comes next.
static inline void amx_key_rows(const Attention *a, const Stretch *s, Operand x, int64_t key, const real *rows[LANES]) {
  const real *first = key < s->keys ? key_row(a, s, x, key) : NULL;
  for (int i = 0; i < LANES; i++) rows[i] = key + i < s->keys ? first + i * x.token : NULL;
  fetch_ahead(s->ahead, LANES * a->headDim * (int64_t)sizeof(real));
}

// Keys from `tile` on → pairs along headDim, [depth / 2, KEY_TILE].
static void amx_pack_keys_along(const Attention *a, const Stretch *s, Operand x, int64_t tile, uint32_t *packed) {
  for (int64_t j = 0; j < amx_keys(s, tile, TILE); j += LANES) {
    const real *rows[LANES];
    amx_key_rows(a, s, x, tile + j, rows);
    amx_pack_along(a, rows, packed + j, KEY_TILE);
  }
}

// Keys from `tile` on → pairs of keys, [KEY_TILE / 2, width].
static void amx_pack_keys_across(const Attention *a, const Stretch *s, Operand x, int64_t tile, uint32_t *packed) {
  for (int64_t j = 0; j < amx_keys(s, tile, TILE_DEPTH); j += LANES) {
    const real *rows[LANES];
    amx_key_rows(a, s, x, tile + j, rows);
    for (int i = 0; i < LANES; i += 2) amx_pack_across(a, rows[i], rows[i + 1], packed + (j + i) / 2 * a->width);
  }
}

// One row's weights as bf16; 0 outside of [from, to).
static void amx_narrow_weights(Range keys, const float *weights, bf16 *p) {
  const int64_t first = keys.from / LANES * LANES, last = (keys.to + LANES - 1) / LANES * LANES;
  if (last - first < KEY_TILE) memset(p, 0, sizeof(bf16) * KEY_TILE);
  for (int64_t j = first; j < last; j += LANES) amx_narrow(*(const vf *)(weights + j), p + j);
}

// o += p·V, for each row with zeros in place of the keys that it does not see.
static void amx_add_visible_values(const Attention *a, const AmxTiles *t, int64_t rows, const Range *keys, float *o) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = 0; j < KEY_TILE; j++) {
      const uint32_t half = j % 2 ? 0xffff0000u : 0x0000ffffu, seen = j >= keys[r].from && j < keys[r].to ? half : 0;
      uint32_t *pairs = t->visible + j / 2 * a->width;
      for (int64_t d = 0; d < a->width; d++) pairs[d] = (pairs[d] & ~half) | (t->v[j / 2 * a->width + d] & seen);
    }
    memcpy(t->o, o, sizeof(float) * (size_t)(AMX_GROUP * a->width));
    amx_multiply(AMX_GROUP, a->width, KEY_TILE, t->p, KEY_TILE, t->visible, a->width, t->o, a->width, 1);
    memcpy(o + r * a->width, t->o + r * a->width, sizeof(float) * (size_t)a->width);
  }
}

// Rows [row, row + rows) of the block against the packed tile.
static void amx_attend_tile(const Attention *a, const Stretch *s, const AmxTiles *t, const Rows *block, int64_t row,
                            int64_t rows, int64_t tile) {
  Range keys[AMX_GROUP];
  for (int64_t r = 0; r < rows; r++) keys[r] = within_tile(block->visible[row + r], tile);
  if (keys[0].from == KEY_TILE || keys[rows - 1].to == 0) return;
  const float factor = a->scale * 1.44269504088896341f;
  const int64_t depth = amx_depth(a), whole = (rows + TILE - 1) / TILE * TILE;
  const int64_t columns = amx_keys(s, tile, TILE);
  amx_multiply(whole, columns, depth, t->q + row * depth, depth, t->k, KEY_TILE, t->scores, KEY_TILE, 0);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = 0; j < columns; j += LANES) *(vf *)(t->scores + r * KEY_TILE + j) *= factor;
    if (keys[r].from < keys[r].to) softmax_row(a, block, row + r, keys[r], t->scores + r * KEY_TILE);
    amx_narrow_weights(keys[r], t->scores + r * KEY_TILE, t->p + r * KEY_TILE);
  }
  float *o = block->o + row * a->width;
  if (t->careful) amx_add_visible_values(a, t, rows, keys, o);
  else amx_multiply(whole, a->width, amx_keys(s, tile, TILE_DEPTH), t->p, KEY_TILE, t->v, a->width, o, a->width, 1);
}

static Rows amx_attend_tiles(const Attention *a, const Stretch *s, const AmxTiles *t, int64_t blockStart, int64_t rows,
                             float *memory) {
  const Rows block = begin_rows(a, s, blockStart, rows, memory);
  for (int64_t tile = block.visible[0].from / KEY_TILE * KEY_TILE; tile < block.visible[rows - 1].to;
       tile += KEY_TILE) {
    amx_pack_keys_along(a, s, a->k, tile, t->k);
    amx_pack_keys_across(a, s, a->v, tile, t->v);
    for (int64_t row = 0; row < rows; row += AMX_GROUP)
      amx_attend_tile(a, s, t, &block, row, at_most(AMX_GROUP, rows - row), tile);
  }
  return block;
}

static int all_finite(const float *values, int64_t count) {
  const uint32_t exponent = 0x7f800000;
  int infinite = 0;
  for (int64_t i = 0; i < count; i++) infinite |= (bits_of(values[i]) & exponent) == exponent;
  return !infinite;
}

static void amx_attend_block(const Attention *a, const Stretch *s, int64_t blockStart, int64_t rows, float *scratch,
                             real *out, float *lse) {
  const int64_t depth = amx_depth(a);
  AmxTiles t = {.scores = scratch};
  t.k = (uint32_t *)(t.scores + AMX_GROUP * KEY_TILE);
  t.v = t.k + depth / 2 * KEY_TILE;
  t.visible = t.v + KEY_TILE / 2 * a->width;
  t.o = (float *)(t.visible + KEY_TILE / 2 * a->width);
  t.q = (bf16 *)(t.o + AMX_GROUP * a->width);
  t.p = t.q + ROW_BLOCK * depth;
  // Rows that fill up the last tile hold whatever they held: nothing reads what becomes of them.
  for (int64_t r = 0; r < rows; r++) amx_pack_row(a, query_row(a, s, blockStart + r), t.q + r * depth);
  float *memory = (float *)(t.p + AMX_GROUP * KEY_TILE);
  configure_tiles();
  Rows block = amx_attend_tiles(a, s, &t, blockStart, rows, memory);
  if (!all_finite(block.o, rows * a->width)) {
    t.careful = 1;
    block = amx_attend_tiles(a, s, &t, blockStart, rows, memory);
  }
  _tile_release();
  finish_rows(a, s, &block, blockStart, rows, out, lse);
}
