// What the parts of the matrix product share: the problem, the blocking, the buffers of a thread.
#pragma once
#include "gemm_pack.h"

// Depth of a block of k, and columns of a block of B. A panel of A of KC steps (14 rows of f32, 21 KiB) stays in the
// first-level cache while the panels of B pass by, and C is read and written once for so many steps; KC x NC numbers
// of B (1.1 MiB of f32) stay in the second-level cache. With two bf16 in a word the same space holds more steps; deep
// blocks matter more there, because tiles multiply sixteen times faster while C costs what it did.
#if K_PER_WORD == 2
#define KC 1024
#define NC 512
#else
#define KC 384
#define NC 768
#endif

// Rows per pass. It bounds the f32 sums kept for a bf16 C that needs several blocks of k.
#define MC 1024

// Columns of a panel of B: two vectors, or two tiles.
#define NR (2 * LANES)

// Room for a panel of A and for a tile of C, for every micro-kernel.
#define A_WORDS (64 * (KC / K_PER_WORD + 16))
#define TILE_FLOATS 1024

// B as `pack_pairs` lays it out: panels of PAIR_COLUMNS columns, [words][PAIR_COLUMNS] pairs of bf16 along k, zeros beyond.
// Those are the panels that dot-product and tile instructions read.
enum { PAIR_COLUMNS = 32, PAIR_UNIT = 16 };
typedef struct {
  const word *data;
  int64_t words;     // pairs along k, a multiple of PAIR_UNIT
  int64_t following; // columns that the same thread multiplies after these
} Pairs;

static inline Pairs pairs_at(Pairs p, int64_t column, int64_t k) {
  return (Pairs){p.data + (column / PAIR_COLUMNS * p.words + k / 2) * PAIR_COLUMNS + column % PAIR_COLUMNS, p.words,
                 p.following};
}

typedef struct {
  int64_t m, n, k;
  View a, b;
  Pairs pairs; // B where it is packed already; then b is nothing
  void *c;
  int64_t c_row;
  int accumulate, wide; // wide: C is f32, whatever `real` is
} Product;

typedef struct {
  word *a, *b;
  float *tile, *sums;
} Buffers;

// k is cut into equal blocks of at most KC.
static inline int64_t block_depth(int64_t k) {
  const int64_t blocks = (k + KC - 1) / KC;
  return blocks <= 1 ? k : round_up((k + blocks - 1) / blocks, 32);
}

static inline int64_t words_of(int64_t depth) { return (depth + K_PER_WORD - 1) / K_PER_WORD; }
static inline float *wide_at(const Product *p, int64_t i, int64_t j) { return (float *)p->c + i * p->c_row + j; }
static inline real *narrow_at(const Product *p, int64_t i, int64_t j) { return (real *)p->c + i * p->c_row + j; }

// to = from, or to += from, for a row of C.
static inline void write_wide(float *to, const float *from, int64_t count, int add) {
  int64_t s = 0;
  for (; s + LANES <= count; s += LANES) {
    vf value = *(const vfu *)(from + s);
    if (add) value += *(vfu *)(to + s);
    *(vfu *)(to + s) = value;
  }
  for (; s < count; s++) to[s] = add ? to[s] + from[s] : from[s];
}
static inline void write_narrow(real *to, const float *from, int64_t count, int add) {
#if K_PER_WORD == 2
  // The conversion instruction takes subnormal numbers for zero, as the products do: so must the last, partial vector.
  for (int64_t s = 0; s < count; s += LANES) {
    const __mmask16 inside = count - s >= LANES ? 0xffff : (__mmask16)((1 << (count - s)) - 1);
    __m512 value = _mm512_maskz_loadu_ps(inside, from + s);
    if (add) {
      const __m512i old = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, to + s));
      value = _mm512_add_ps(value, (__m512)_mm512_slli_epi32(old, 16));
    }
    _mm256_mask_storeu_epi16(to + s, inside, (__m256i)_mm512_cvtneps_pbh(value));
  }
#else
  for (int64_t s = 0; s < count; s++) store(to + s, add ? load(to + s) + from[s] : from[s]);
#endif
}

// The panel of B at column j: as it was packed before, or where vector_block and tile_block pack it.
static inline const word *panel_of(const Product *p, int64_t j, int64_t words, const Buffers *buffers) {
#if K_PER_WORD == 2
  if (p->pairs.data) return pairs_at(p->pairs, j, 0).data;
#endif
  (void)p;
  return buffers->b + j * words;
}

// Panels of B for one block of k, unless they are there as they are read.
static inline void pack_panels(const Product *p, View b, int64_t depth, int64_t words, const Buffers *buffers) {
  if (p->pairs.data && K_PER_WORD == 2) return;
  for (int64_t j = 0; j < p->n; j += NR) {
    word *panel = buffers->b + j * words;
    if (!p->pairs.data) {
      pack_columns(view_at(b, j, 0), smaller(NR, p->n - j), depth, words, NR, panel);
      continue;
    }
    const uint32_t *from = (const uint32_t *)pairs_at(p->pairs, j, 0).data;
    for (int64_t k = 0; k < depth; k++)
      for (int64_t c = 0; c < NR; c++) {
        const uint32_t pair = from[k / 2 * PAIR_COLUMNS + c];
        panel[k * NR + c] = (word)(k % 2 ? pair & 0xffff0000u : pair << 16);
      }
  }
}

// C[i..][j..] = from, or += from.
static void write_tile(const Product *p, const float *from, int64_t pitch, int64_t i, int64_t j, int64_t rows,
                       int64_t columns, int add) {
  for (int64_t r = 0; r < rows; r++, from += pitch) {
    if (p->wide)
      write_wide(wide_at(p, i + r, j), from, columns, add);
    else
      write_narrow(narrow_at(p, i + r, j), from, columns, add);
  }
}

// to = C[i..][j..].
static void read_tile(const Product *p, float *to, int64_t pitch, int64_t i, int64_t j, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++, to += pitch) {
    if (p->wide)
      memcpy(to, wide_at(p, i + r, j), (size_t)columns * sizeof(float));
    else
      for (int64_t s = 0; s < columns; s++) to[s] = load(narrow_at(p, i + r, j) + s);
  }
}
