// Attention backward on AMX: the formulas and the order of attention_backward.c, with every factor as bf16 and every
// sum in f32. Scores are computed transposed, [keys, rows]: so P and dS come out as left factors of dV and dK, and a
// vector spans rows, whose lse and D it needs; dQ is summed transposed as well.
#pragma once
#include "attention_amx.h"
#include "attention_gradients.h"

enum { AMX_BLOCK = 64 };

// Those over `rows` hold every row of the stretch, rounded up to whole blocks of AMX_BLOCK.
typedef struct {
  uint32_t *qAlong, *doutAlong;   // [depth / 2, rows] pairs along headDim
  uint32_t *qAcross, *doutAcross; // [rows / 2, width] pairs of rows
  float *dq;                      // a [width, AMX_BLOCK] for each block of rows, to be multiplied by scale
  float *lse, *delta;             // [rows]
  int32_t *from, *to;             // [rows] visible keys
  bf16 *k, *v;                    // [KEY_TILE, depth]
  bf16 *kTransposed;              // [width, KEY_TILE]
  float *dk, *dv;                 // [KEY_TILE, width], dk to be multiplied by scale
  float *p, *ds;                  // [KEY_TILE, AMX_BLOCK]
  bf16 *pNarrow, *dsNarrow;       // [KEY_TILE, AMX_BLOCK]
  uint32_t *dsAcross;             // [KEY_TILE / 2, AMX_BLOCK] pairs of keys
} AmxGradientTiles;

// The next `bytes` of the scratch, which stays aligned.
static inline void *amx_take(char **next, int64_t bytes) {
  void *taken = *next;
  *next += (bytes + 63) / 64 * 64;
  return taken;
}

static AmxGradientTiles amx_gradient_tiles(const Attention *a, int64_t rows) {
  const int64_t depth = amx_depth(a), width = a->width, scores = KEY_TILE * AMX_BLOCK;
  const int64_t bytes = rows * (4 * depth + 8 * width + 16) + KEY_TILE * (4 * depth + 10 * width) + 14 * scores;
  char *next = (char *)thread_scratch((size_t)bytes / sizeof(float) + 256);
  AmxGradientTiles t = {0};
  if (!next) return t;
  t.qAlong = amx_take(&next, 2 * depth * rows);
  t.doutAlong = amx_take(&next, 2 * depth * rows);
  t.qAcross = amx_take(&next, 2 * width * rows);
  t.doutAcross = amx_take(&next, 2 * width * rows);
  t.dq = amx_take(&next, 4 * width * rows);
  t.lse = amx_take(&next, 4 * rows);
  t.delta = amx_take(&next, 4 * rows);
  t.from = amx_take(&next, 4 * rows);
  t.to = amx_take(&next, 4 * rows);
  t.k = amx_take(&next, 2 * KEY_TILE * depth);
  t.v = amx_take(&next, 2 * KEY_TILE * depth);
  t.kTransposed = amx_take(&next, 2 * KEY_TILE * width);
  t.dk = amx_take(&next, 4 * KEY_TILE * width);
  t.dv = amx_take(&next, 4 * KEY_TILE * width);
  t.p = amx_take(&next, 4 * scores);
  t.ds = amx_take(&next, 4 * scores);
  t.pNarrow = amx_take(&next, 2 * scores);
  t.dsNarrow = amx_take(&next, 2 * scores);
  t.dsAcross = amx_take(&next, 2 * scores);
  return t;
}

// Rows past the last one are zeros that see no key.
static void amx_begin_rows(const Attention *a, const Gradients *g, const Stretch *s, const AmxGradientTiles *t,
                           int64_t rows, int64_t padded) {
  for (int64_t first = 0; first < padded; first += LANES) {
    const real *q[LANES], *dout[LANES];
    for (int64_t i = 0; i < LANES; i++) {
      const int64_t r = first + i;
      const int inside = r < rows;
      const Range keys = inside ? visible_keys(a, s, r) : (Range){0, 0};
      q[i] = inside ? query_row(a, s, r) : NULL;
      dout[i] = inside ? dout_row(a, g, s, r) : NULL;
      t->lse[r] = inside ? row_log2_sum(a, g, s, r) : INFINITY;
      t->delta[r] = inside ? row_delta(a, g, s, r) : 0.0f;
      t->from[r] = (int32_t)keys.from;
      t->to[r] = (int32_t)keys.to;
    }
    amx_pack_along(a, q, t->qAlong + first, padded);
    amx_pack_along(a, dout, t->doutAlong + first, padded);
    for (int64_t i = 0; i < LANES; i += 2) {
      amx_pack_across(a, q[i], q[i + 1], t->qAcross + (first + i) / 2 * a->width);
      amx_pack_across(a, dout[i], dout[i + 1], t->doutAcross + (first + i) / 2 * a->width);
    }
  }
  memset(t->dq, 0, sizeof(float) * (size_t)(padded * a->width));
}

static void amx_pack_key_tile(const Attention *a, const Stretch *s, const AmxGradientTiles *t, int64_t tile) {
  const int64_t depth = amx_depth(a);
  for (int64_t j = 0; j < KEY_TILE; j++) {
    amx_pack_row(a, key_row_or_none(a, s, a->k, tile + j), t->k + j * depth);
    amx_pack_row(a, key_row_or_none(a, s, a->v, tile + j), t->v + j * depth);
  }
  float *wide = t->dk; // for a moment
  pack_keys_transposed(a, s, a->k, tile, wide);
  for (int64_t i = 0; i < a->headDim * KEY_TILE; i += LANES) amx_narrow(*(const vf *)(wide + i), t->kTransposed + i);
  memset(t->kTransposed + a->headDim * KEY_TILE, 0, sizeof(bf16) * (size_t)((a->width - a->headDim) * KEY_TILE));
  memset(t->dk, 0, sizeof(float) * (size_t)(KEY_TILE * a->width));
  memset(t->dv, 0, sizeof(float) * (size_t)(KEY_TILE * a->width));
}

// Scores and dP of a block become P and dS.
static void amx_differentiate_scores(const Attention *a, const AmxGradientTiles *t, int64_t row, int64_t tile,
                                     int masked) {
  const float factor = a->scale * 1.44269504088896341f;
  const float *lse = t->lse + row, *delta = t->delta + row;
  const int32_t *from = t->from + row, *to = t->to + row;
  for (int32_t j = 0; j < KEY_TILE; j++) {
    float *p = t->p + j * AMX_BLOCK, *ds = t->ds + j * AMX_BLOCK;
    for (int r = 0; r < AMX_BLOCK; r++) {
      p[r] = exp2_f32(p[r] * factor - lse[r]);
      ds[r] = p[r] * (ds[r] - delta[r]);
    }
    if (!masked) continue;
    const int32_t key = (int32_t)tile + j;
    for (int r = 0; r < AMX_BLOCK; r++) {
      const int seen = (key >= from[r]) & (key < to[r]);
      p[r] = seen ? p[r] : 0.0f;
      ds[r] = seen ? ds[r] : 0.0f;
    }
  }
}

// P and dS as factors.
static void amx_narrow_scores(const AmxGradientTiles *t) {
  for (int64_t j = 0; j < KEY_TILE * AMX_BLOCK; j += LANES) {
    amx_narrow(*(const vf *)(t->p + j), t->pNarrow + j);
    amx_narrow(*(const vf *)(t->ds + j), t->dsNarrow + j);
  }
  for (int64_t j = 0; j < KEY_TILE; j += 2)
    for (int64_t r = 0; r < AMX_BLOCK; r += LANES) {
      const float *even = t->ds + j * AMX_BLOCK + r, *odd = even + AMX_BLOCK;
      *(vi *)(t->dsAcross + j / 2 * AMX_BLOCK + r) = amx_pairs(*(const vf *)even, *(const vf *)odd);
    }
}

// The block of rows at `row`, of `rows` in all (rounded up: `padded`), against the packed key tile.
static void amx_differentiate_block(const Attention *a, const Stretch *s, const AmxGradientTiles *t, int64_t row,
                                    int64_t rows, int64_t padded, int64_t tile) {
  const Range first = within_tile(visible_keys(a, s, row), tile);
  const Range last = within_tile(visible_keys(a, s, at_most(rows, row + AMX_BLOCK) - 1), tile);
  if (first.from == KEY_TILE || last.to == 0) return;
  const int64_t depth = amx_depth(a), width = a->width;
  amx_multiply(KEY_TILE, AMX_BLOCK, depth, t->k, depth, t->qAlong + row, padded, t->p, AMX_BLOCK, 0);
  amx_multiply(KEY_TILE, AMX_BLOCK, depth, t->v, depth, t->doutAlong + row, padded, t->ds, AMX_BLOCK, 0);
  amx_differentiate_scores(a, t, row, tile, first.to < KEY_TILE || last.from > 0);
  amx_narrow_scores(t);
  const uint32_t *q = t->qAcross + row / 2 * width, *dout = t->doutAcross + row / 2 * width;
  amx_multiply(KEY_TILE, width, AMX_BLOCK, t->pNarrow, AMX_BLOCK, dout, width, t->dv, width, 1);
  amx_multiply(KEY_TILE, width, AMX_BLOCK, t->dsNarrow, AMX_BLOCK, q, width, t->dk, width, 1);
  amx_multiply(width, AMX_BLOCK, KEY_TILE, t->kTransposed, KEY_TILE, t->dsAcross, AMX_BLOCK, t->dq + row * width,
               AMX_BLOCK, 1);
}

static void amx_store_queries(const Attention *a, const Gradients *g, const Stretch *s, const AmxGradientTiles *t,
                              int64_t rows) {
  float *transposed = t->p; // [LANES, width]; p is as large as the largest of them
  for (int64_t row = 0; row < rows; row += LANES) {
    const float *dq = t->dq + row / AMX_BLOCK * AMX_BLOCK * a->width + row % AMX_BLOCK;
    for (int64_t d = 0; d < a->width; d += LANES) {
      vf block[LANES];
      for (int64_t i = 0; i < LANES; i++) block[i] = *(const vf *)(dq + (d + i) * AMX_BLOCK);
      transpose_block(block);
      for (int64_t i = 0; i < LANES; i++) *(vf *)(transposed + i * a->width + d) = block[i];
    }
    for (int64_t i = 0; i < at_most(LANES, rows - row); i++)
      store_row(a, transposed + i * a->width, a->scale, g->dq + query_index(a, s, row + i) * a->headDim);
  }
}

static int32_t amx_differentiate_stretch(const Attention *a, const Gradients *g, const Stretch *s) {
  const int64_t rows = s->queries * a->group, padded = (rows + AMX_BLOCK - 1) / AMX_BLOCK * AMX_BLOCK;
  const AmxGradientTiles t = amx_gradient_tiles(a, padded);
  if (!t.dq) return OUT_OF_MEMORY;
  amx_begin_rows(a, g, s, &t, rows, padded);
  configure_tiles();
  for (int64_t tile = 0; tile < s->keys; tile += KEY_TILE) {
    amx_pack_key_tile(a, s, &t, tile);
    for (int64_t row = 0; row < rows; row += AMX_BLOCK) amx_differentiate_block(a, s, &t, row, rows, padded, tile);
    store_keys(a, g, s, tile, t.dk, a->scale, t.dv);
  }
  _tile_release();
  amx_store_queries(a, g, s, &t, rows);
  return OK;
}
