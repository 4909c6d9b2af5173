// AMX: eight tile registers of 16 rows of 64 bytes, and an instruction that multiplies two of them.
//
// tdpbf16ps adds to a tile of C [16, 16] (f32) the product of a tile of A [16, 32] (bf16) and a tile of B [32, 16], the
// latter stored as pairs along the summed axis: [16 pairs][16 columns].
#pragma once
#include "kernel.h"
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TILE = 16, TILE_DEPTH = 32 }; // rows of a tile, and products that it adds up

// The operating system grants the tile registers on request, once per process.
static inline int tiles_granted(void) {
  enum { UNKNOWN, GRANTED, REFUSED, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  static int state = UNKNOWN;
  int known = __atomic_load_n(&state, __ATOMIC_RELAXED);
  if (known == UNKNOWN) {
    known = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 ? GRANTED : REFUSED;
    __atomic_store_n(&state, known, __ATOMIC_RELAXED);
  }
  return known == GRANTED;
}

// A thread says how it uses its tiles: all eight in full. tilerelease ends that.
static inline void configure_tiles(void) {
  static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
  } config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&config);
}

// Up to four tiles of C side by side. `tiles` is a constant wherever it matters.
static inline __attribute__((always_inline)) void amx_multiply_strip(const int tiles, int64_t depth, const bf16 *a,
                                                                     int64_t aRow, const uint32_t *b, int64_t bRow,
                                                                     float *c, int64_t cRow, int accumulate) {
  const int64_t aBytes = aRow * 2, bBytes = bRow * 4, cBytes = cRow * 4;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (accumulate) {
    _tile_loadd(0, c, cBytes);
    if (tiles > 1) _tile_loadd(1, c + 16, cBytes);
    if (tiles > 2) _tile_loadd(2, c + 32, cBytes);
    if (tiles > 3) _tile_loadd(3, c + 48, cBytes);
  }
  for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
    const uint32_t *pairs = b + k / 2 * bRow;
    _tile_loadd(4, a + k, aBytes);
    _tile_loadd(5, pairs, bBytes);
    _tile_dpbf16ps(0, 4, 5);
    if (tiles > 1) _tile_loadd(6, pairs + 16, bBytes);
    if (tiles > 1) _tile_dpbf16ps(1, 4, 6);
    if (tiles > 2) _tile_loadd(7, pairs + 32, bBytes);
    if (tiles > 2) _tile_dpbf16ps(2, 4, 7);
    if (tiles > 3) _tile_loadd(5, pairs + 48, bBytes);
    if (tiles > 3) _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, c, cBytes);
  if (tiles > 1) _tile_stored(1, c + 16, cBytes);
  if (tiles > 2) _tile_stored(2, c + 32, cBytes);
  if (tiles > 3) _tile_stored(3, c + 48, cBytes);
}

// c: f32 [rows, columns] = or += a: bf16 [rows, depth] · b: pairs [depth / 2, columns]. `rows` and `columns` are
// multiples of 16, `depth` is one of 32; row strides count elements of the array.
static inline void amx_multiply(int64_t rows, int64_t columns, int64_t depth, const bf16 *a, int64_t aRow,
                                const uint32_t *b, int64_t bRow, float *c, int64_t cRow, int accumulate) {
  __asm__ volatile("" ::: "memory"); // the compiler does not know that loading a tile reads memory
  for (int64_t n = 0; n < columns; n += 64)
    for (int64_t r = 0; r < rows; r += TILE) {
      const bf16 *left = a + r * aRow;
      float *sums = c + r * cRow + n;
      switch (columns - n) {
      case 16: amx_multiply_strip(1, depth, left, aRow, b + n, bRow, sums, cRow, accumulate); break;
      case 32: amx_multiply_strip(2, depth, left, aRow, b + n, bRow, sums, cRow, accumulate); break;
      case 48: amx_multiply_strip(3, depth, left, aRow, b + n, bRow, sums, cRow, accumulate); break;
      default: amx_multiply_strip(4, depth, left, aRow, b + n, bRow, sums, cRow, accumulate);
      }
    }
}

// Two vectors of f32 as bf16: x in the low half of each 32 bits, y in the high half. Subnormals become 0.
static inline vi amx_pairs(vf x, vf y) {
  const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x));
  const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)y));
  return (vi)_mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// 16 numbers as bf16.
static inline void amx_narrow(vf x, bf16 *to) {
  _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
