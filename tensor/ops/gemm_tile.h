// The product on AMX (amx.h). A tile of A is a panel by rows, a tile of B a panel by columns. Four tiles of C, two of A
// and two of B: four products for four loads.
//
// A sum starts from what C holds and runs through all of k in steps of 32, in tile registers or, between blocks of k,
// in memory as f32; the last step is filled up with zeros.
#pragma once
#include "amx.h"
#include "gemm.h"

// Rows of a packed panel are a cache line further apart than their words need: at a distance of 2 KiB they would all
// fall into the same few sets of the first-level cache.
#define A_PITCH(words) ((words) + 16)

// The compiler does not know that loading a tile reads memory: everything must be stored before.
static inline void finish_stores(void) { __asm__ volatile("" ::: "memory"); }

// Bytes to ask for while a product runs: `step` of them with each 16 words of it.
typedef struct {
  const char *at;
  int64_t step;
} Ahead;

// c [32, 32] += a·b, or [16, 32] if there is only one tile of rows. `words` is a multiple of 16.
static void tile_product(int two, int64_t words, const char *a, int64_t a_bytes, const word *b, float *c, int64_t c_row,
                         int add, Ahead ahead) {
  const int64_t c_bytes = c_row * 4, b_bytes = NR * 4;
  const char *a_below = a + TILE * a_bytes;
  float *c_below = c + TILE * c_row;
  finish_stores();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (add) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + TILE, c_bytes);
    if (two) {
      _tile_loadd(2, c_below, c_bytes);
      _tile_loadd(3, c_below + TILE, c_bytes);
    }
  }
  for (int64_t p = 0; p < words; p += TILE, ahead.at += ahead.step) {
    for (int64_t byte = 0; byte < ahead.step; byte += 64) __builtin_prefetch(ahead.at + byte, 0, 2);
    _tile_loadd(6, b + p * NR, b_bytes);
    _tile_loadd(7, b + p * NR + TILE, b_bytes);
    _tile_loadd(4, a + 4 * p, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (two) {
      _tile_loadd(5, a_below + 4 * p, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + TILE, c_bytes);
  if (two) {
    _tile_stored(2, c_below, c_bytes);
    _tile_stored(3, c_below + TILE, c_bytes);
  }
}

// The columns that follow j when all of p's are done, in packed pairs: each 32 rows ask for their share of them.
static Ahead ahead_of(const Product *p, int64_t j, int64_t i, int64_t words) {
  if (!p->pairs.data || j >= p->pairs.following) return (Ahead){NULL, 0};
  const int64_t passes = (p->m + 2 * TILE - 1) / (2 * TILE), step = TILE * NR * (int64_t)sizeof(word) / passes;
  return (Ahead){(const char *)pairs_at(p->pairs, j + p->n, 0).data + i / (2 * TILE) * step * (words / TILE), step};
}

// One block of k, packed: panels of B stay in the second-level cache, a panel of 32 rows of A in the first.
static void tile_block(const Product *p, View a, View b, int64_t depth, int add, Buffers *buffers) {
  const int64_t words = round_up(words_of(depth), TILE);
  pack_panels(p, b, depth, words, buffers);
  for (int64_t i = 0; i < p->m; i += 2 * TILE) {
    const int64_t rows = smaller(2 * TILE, p->m - i);
    // Rows that are contiguous along k and fill whole tiles are used where they are, unless they lie so far apart that
    // they would push each other out of the first-level cache.
    const int in_place = a.inner == 1 && rows % TILE == 0 && depth % (2 * TILE) == 0 && a.outer % 1024 != 0;
    if (!in_place) pack_rows(view_at(a, i, 0), rows, depth, words, A_PITCH(words), buffers->a);
    const char *panel = in_place ? (const char *)view_at(a, i, 0).data : (const char *)buffers->a;
    const int64_t pitch = in_place ? a.outer * 2 : A_PITCH(words) * 4;
    for (int64_t j = 0; j < p->n; j += NR) {
      const int64_t columns = smaller(NR, p->n - j);
      const int direct = p->wide && columns == NR && rows % TILE == 0;
      if (!direct && add) read_tile(p, buffers->tile, NR, i, j, rows, columns);
      tile_product(rows > TILE, words, panel, pitch, panel_of(p, j, words, buffers), direct ? wide_at(p, i, j) : buffers->tile,
                   direct ? p->c_row : NR, add, ahead_of(p, j, i, words));
      if (!direct) write_tile(p, buffers->tile, NR, i, j, rows, columns, 0);
    }
  }
}

// Few rows of A against a B that is contiguous along k: Bᵀ then needs no packing as the left operand of Cᵀ = Bᵀ·Aᵀ, and
// streams from memory into the tiles. The products and their order are the same, so are the bits. What does not fill a
// tile (the last columns, the last words) is packed.
#define STREAM_COLUMNS 64

// turned [64 columns of C][16 rows of C] = or += b·a for 16 rows.
static void tile_stream_product(int64_t whole, int64_t words, const real *b, int64_t b_bytes, const word *b_rest,
                                const word *a, float *turned) {
  finish_stores();
  _tile_loadd(0, turned, 64);
  _tile_loadd(1, turned + 256, 64);
  _tile_loadd(2, turned + 512, 64);
  _tile_loadd(3, turned + 768, 64);
  for (int64_t p = 0; p < words; p += TILE) {
    const char *left = p < whole ? (const char *)(b + 2 * p) : (const char *)b_rest;
    const int64_t pitch = p < whole ? b_bytes : 4 * TILE;
    _tile_loadd(7, a + p * TILE, 64);
    _tile_loadd(4, left, pitch);
    _tile_dpbf16ps(0, 4, 7);
    _tile_loadd(5, left + TILE * pitch, pitch);
    _tile_dpbf16ps(1, 5, 7);
    _tile_loadd(6, left + 2 * TILE * pitch, pitch);
    _tile_dpbf16ps(2, 6, 7);
    _tile_loadd(4, left + 3 * TILE * pitch, pitch);
    _tile_dpbf16ps(3, 4, 7);
  }
  _tile_stored(0, turned, 64);
  _tile_stored(1, turned + 256, 64);
  _tile_stored(2, turned + 512, 64);
  _tile_stored(3, turned + 768, 64);
}

static void turn(const float *from, int64_t from_row, float *to, int64_t to_row) {
  vi block[LANES];
  for (int i = 0; i < LANES; i++) block[i] = *(const vi *)(from + i * from_row);
  transpose(block);
  for (int i = 0; i < LANES; i++) *(vi *)(to + i * to_row) = block[i];
}

static void tile_stream(const Product *p, View a, View b, int64_t depth, int add, Buffers *buffers) {
  const int64_t words = round_up(words_of(depth), TILE), whole = depth / (2 * TILE) * TILE;
  for (int64_t i = 0; i < p->m; i += TILE)
    pack_columns(view_at(a, i, 0), smaller(TILE, p->m - i), depth, words, TILE, buffers->a + i * words);
  word *rest = buffers->b;
  float *turned = (float *)(buffers->b + STREAM_COLUMNS * KC);
  for (int64_t j = 0; j < p->n; j += STREAM_COLUMNS) {
    const int64_t columns = smaller(STREAM_COLUMNS, p->n - j);
    const View strip = view_at(b, j, 0);
    // Full strips read B in place up to the last whole tile; the last strip is packed altogether.
    const int full = columns == STREAM_COLUMNS;
    if (full && whole < words) pack_rows(view_at(strip, 0, 2 * whole), columns, depth - 2 * whole, TILE, TILE, rest);
    if (!full) pack_rows(strip, columns, depth, words, words, rest);
    for (int64_t i = 0; i < p->m; i += TILE) {
      const int64_t rows = smaller(TILE, p->m - i);
      memset(turned, 0, STREAM_COLUMNS * TILE * 4);
      if (add) {
        read_tile(p, buffers->tile, STREAM_COLUMNS, i, j, rows, columns);
        for (int64_t s = 0; s < columns; s += TILE) turn(buffers->tile + s, STREAM_COLUMNS, turned + s * TILE, TILE);
      }
      if (full)
        tile_stream_product(whole, words, strip.data, strip.outer * 2, rest, buffers->a + i * words, turned);
      else
        tile_stream_product(words, words, (const real *)rest, words * 4, NULL, buffers->a + i * words, turned);
      for (int64_t s = 0; s < columns; s += TILE) turn(turned + s * TILE, TILE, buffers->tile + s, STREAM_COLUMNS);
      write_tile(p, buffers->tile, STREAM_COLUMNS, i, j, rows, columns, 0);
    }
  }
}
