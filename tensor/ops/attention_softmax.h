// The state of the rows of a block between two key tiles: see the formulas in attention.c.
#pragma once
#include "attention.h"

enum { ROW_BLOCK = 384 };

typedef struct {
  float *o;       // [ROW_BLOCK, width]
  float *sums;    // [ROW_BLOCK, LANES]: l, one partial sum per lane
  float *maxima;  // [ROW_BLOCK]: m
  Range *visible; // [ROW_BLOCK]
} Rows;

static size_t rows_bytes(const Attention *a) {
  return ROW_BLOCK * ((size_t)(a->width + LANES + 1) * sizeof(float) + sizeof(Range));
}

// The state of rows that have seen nothing yet, in memory aligned to vectors.
static Rows begin_rows(const Attention *a, const Stretch *s, int64_t blockStart, int64_t rows, float *memory) {
  Rows block;
  block.o = memory;
  block.sums = block.o + ROW_BLOCK * a->width;
  block.maxima = block.sums + ROW_BLOCK * LANES;
  block.visible = (Range *)(block.maxima + ROW_BLOCK);
  memset(block.o, 0, sizeof(float) * (size_t)(rows * a->width));
  memset(block.sums, 0, sizeof(float) * (size_t)(rows * LANES));
  for (int64_t r = 0; r < rows; r++) {
    block.maxima[r] = -INFINITY;
    block.visible[r] = visible_keys(a, s, blockStart + r);
  }
  return block;
}

// Floats compare like their bits read as integers, once the lower bits of the negative ones are flipped; the compiler
// reduces integers over lanes with vectors, floats it does not.
static float largest(const float *scores, int64_t count) {
  vf lanes = *(const vf *)scores;
  for (int64_t j = LANES; j < count; j += LANES) {
    const vf next = *(const vf *)(scores + j);
    const vi larger = next > lanes;
    lanes = (vf)((larger & (vi)next) | (~larger & (vi)lanes));
  }
  int32_t bits[LANES], top = INT32_MIN;
  memcpy(bits, &lanes, sizeof bits);
#pragma omp simd reduction(max : top)
  for (int l = 0; l < LANES; l++) {
    const int32_t ordered = bits[l] ^ ((bits[l] >> 31) & 0x7fffffff);
    top = ordered > top ? ordered : top;
  }
  return float_bits((uint32_t)(top ^ ((top >> 31) & 0x7fffffff)));
}

// Turns one row's scores of a tile into weights p, and moves m, l and o along. Only whole vectors that hold a visible
// key are touched.
static void softmax_row(const Attention *a, const Rows *block, int64_t row, Range keys, float *scores) {
  float *maximum = block->maxima + row, *sums = block->sums + row * LANES, *o = block->o + row * a->width;
  const int64_t first = keys.from / LANES * LANES, last = (keys.to + LANES - 1) / LANES * LANES;
  for (int64_t j = first; j < keys.from; j++) scores[j] = -INFINITY;
  for (int64_t j = keys.to; j < last; j++) scores[j] = -INFINITY;
  const float top = largest(scores + first, last - first);
  if (top > *maximum) {
    const float factor = exp2_f32(*maximum - top);
    *(vf *)sums *= factor;
    for (int64_t d = 0; d < a->width; d += LANES) *(vf *)(o + d) *= factor;
    *maximum = top;
  }
  const float shift = *maximum == -INFINITY ? 0.0f : *maximum; // -∞ - -∞ would be NaN
  vf sum = *(vf *)sums;
  for (int64_t j = first; j < last; j += LANES) {
    for (int l = 0; l < LANES; l++) scores[j + l] = exp2_f32(scores[j + l] - shift);
    sum += *(vf *)(scores + j);
  }
  *(vf *)sums = sum;
}

static void finish_rows(const Attention *a, const Stretch *s, const Rows *block, int64_t blockStart, int64_t rows,
                        real *out, float *lse) {
  const float ln2 = 0.693147180559945309f;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t index = query_index(a, s, blockStart + r);
    float sum = 0.0f;
    for (int l = 0; l < LANES; l++) sum += block->sums[r * LANES + l];
    const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum; // a row that sees no key gives zeros
    for (int64_t d = 0; d < a->headDim; d++) store(out + index * a->headDim + d, block->o[r * a->width + d] * inverse);
    lse[index] = sum == 0.0f ? -INFINITY : block->maxima[r] * ln2 + log_f32(sum);
  }
}
