// Attention forward on AMX: the same blocks, tiles and formulas as attention.c, with q, k, v and the weights p as bf16
// factors of products that are summed in f32. Rows go through a key tile AMX_GROUP at a time: two tiles of rows, so that
// the weights of the first have reached the cache, where tile loads look for them, when those of the second are done.
//
// A masked weight is 0 here and its value is multiplied all the same.
#pragma once
#include "attention_amx.h"
#include "attention_softmax.h"

enum { AMX_GROUP = 2 * AMX_ROWS };

typedef struct {
  bf16 *q;       // [ROW_BLOCK, depth]
  uint32_t *k;   // [depth / 2, KEY_TILE] pairs along headDim
  uint32_t *v;   // [KEY_TILE / 2, width] pairs of keys
  float *scores; // [AMX_GROUP, KEY_TILE]
  bf16 *p;       // [AMX_GROUP, KEY_TILE]
} AmxTiles;

static size_t amx_tiles_bytes(const Attention *a) {
  const int64_t depth = amx_depth(a);
  return (size_t)(2 * ROW_BLOCK * depth + 2 * depth * KEY_TILE + 2 * KEY_TILE * a->width + 6 * AMX_GROUP * KEY_TILE);
}

// One row's weights as bf16; 0 outside of [from, to).
static void amx_narrow_weights(Range keys, const float *weights, bf16 *p) {
  const int64_t first = keys.from / LANES * LANES, last = (keys.to + LANES - 1) / LANES * LANES;
  if (last - first < KEY_TILE) memset(p, 0, sizeof(bf16) * KEY_TILE);
  for (int64_t j = first; j < last; j += LANES) amx_narrow(*(const vf *)(weights + j), p + j);
}

// Rows [row, row + rows) of the block against the packed tile.
static void amx_attend_tile(const Attention *a, const AmxTiles *t, const Rows *block, int64_t row, int64_t rows,
                            int64_t tile) {
  if (within_tile(block->visible[row], tile).from == KEY_TILE) return;
  if (within_tile(block->visible[row + rows - 1], tile).to == 0) return;
  const float factor = a->scale * 1.44269504088896341f;
  const int64_t depth = amx_depth(a), whole = (rows + AMX_ROWS - 1) / AMX_ROWS * AMX_ROWS;
  amx_multiply(whole, KEY_TILE, depth, t->q + row * depth, depth, t->k, KEY_TILE, t->scores, KEY_TILE, 0);
  for (int64_t j = 0; j < rows * KEY_TILE; j += LANES) *(vf *)(t->scores + j) *= factor;
  for (int64_t r = 0; r < rows; r++) {
    Range keys = within_tile(block->visible[row + r], tile);
    if (keys.from < keys.to) softmax_row(a, block, row + r, keys, t->scores + r * KEY_TILE);
    else keys = (Range){0, 0};
    amx_narrow_weights(keys, t->scores + r * KEY_TILE, t->p + r * KEY_TILE);
  }
  amx_multiply(whole, a->width, KEY_TILE, t->p, KEY_TILE, t->v, a->width, block->o + row * a->width, a->width, 1);
}

static void amx_attend_block(const Attention *a, const Stretch *s, int64_t blockStart, int64_t rows, float *scratch,
                             real *out, float *lse) {
  const int64_t depth = amx_depth(a), padded = (rows + AMX_ROWS - 1) / AMX_ROWS * AMX_ROWS;
  AmxTiles t = {.scores = scratch};
  t.k = (uint32_t *)(t.scores + AMX_GROUP * KEY_TILE);
  t.v = t.k + depth / 2 * KEY_TILE;
  t.q = (bf16 *)(t.v + KEY_TILE / 2 * a->width);
  t.p = t.q + ROW_BLOCK * depth;
  const Rows block = begin_rows(a, s, blockStart, rows, (float *)(t.p + AMX_GROUP * KEY_TILE));
  for (int64_t r = 0; r < padded; r++)
    amx_pack_row(a, r < rows ? query_row(a, s, blockStart + r) : NULL, t.q + r * depth);
  memset(t.p, 0, sizeof(bf16) * AMX_GROUP * KEY_TILE);
  amx_configure();
  for (int64_t tile = block.visible[0].from / KEY_TILE * KEY_TILE; tile < block.visible[rows - 1].to;
       tile += KEY_TILE) {
    amx_pack_keys_along(a, s, a->k, tile, t.k);
    amx_pack_keys_across(a, s, a->v, tile, t.v);
    for (int64_t row = 0; row < rows; row += AMX_GROUP)
      amx_attend_tile(a, &t, &block, row, at_most(AMX_GROUP, rows - row), tile);
  }
  _tile_release();
  finish_rows(a, s, &block, blockStart, rows, out, lse);
}
