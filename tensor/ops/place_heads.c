// What a decoding step does between the projection of a layer and its attention, in one pass over the new tokens.
#include "rope.h"

// Rows `head` and on of a token's projection, turned.
static void turn_heads(real *to, const real *from, int64_t heads, int64_t headDim, const float *turns, int64_t pairs) {
  for (int64_t head = 0; head < heads; head++, to += headDim, from += headDim) {
    rotate_half(to, from, turns, pairs, 1.0f);
    memcpy(to + 2 * pairs, from + 2 * pairs, sizeof(real) * (size_t)(headDim - 2 * pairs));
  }
}

// Asks for a row that is about to be written.
static void ask_for(const real *row, int64_t width) {
  for (int64_t i = 0; i < width; i += 64 / (int64_t)sizeof(real)) __builtin_prefetch(row + i, 1, 3);
}

// Slots: 0 q, 1 keys, 2 values, 3 projection, 4 table, 5 positions, 6 places, 7 keys before, 8 values before, 9 tokens,
// 10 heads, 11 kvHeads, 12 headDim, 13 positions of the table, 14 pairs, 15 places of the cache.
KERNEL(place_heads) {
  real *q = POINTER(real, 0), *keys = POINTER(real, 1), *values = POINTER(real, 2);
  const real *projection = POINTER(const real, 3), *oldKeys = POINTER(const real, 7), *oldValues = POINTER(const real, 8);
  const float *table = POINTER(const float, 4);
  const int32_t *positions = POINTER(const int32_t, 5), *places = POINTER(const int32_t, 6);
  const int64_t tokens = INTEGER(9), heads = INTEGER(10), kvHeads = INTEGER(11), headDim = INTEGER(12);
  const int64_t length = INTEGER(13), pairs = INTEGER(14), capacity = INTEGER(15);
  const int64_t kvWidth = kvHeads * headDim, width = heads * headDim + 2 * kvWidth;
  for (int64_t token = 0; token < tokens; token++)
    if (positions[token] < 0 || positions[token] >= length || places[token] < 0 || places[token] >= capacity)
      return INDEX_OUT_OF_RANGE;
  const size_t bytes = sizeof(real) * (size_t)(capacity * kvWidth);
  if (keys != oldKeys) memcpy(keys, oldKeys, bytes);
  if (values != oldValues) memcpy(values, oldValues, bytes);
#pragma omp parallel for if (tokens * width > PARALLEL_WORK)
  for (int64_t token = 0; token < tokens; token++) {
    const real *row = projection + token * width;
    const float *turns = table + positions[token] * pairs * 2;
    const int64_t place = places[token] * kvWidth;
    if (token + 1 < tokens) {
      ask_for(keys + places[token + 1] * kvWidth, kvWidth);
      ask_for(values + places[token + 1] * kvWidth, kvWidth);
    }
    turn_heads(q + token * heads * headDim, row, heads, headDim, turns, pairs);
    turn_heads(keys + place, row + heads * headDim, kvHeads, headDim, turns, pairs);
    memcpy(values + place, row + heads * headDim + kvWidth, sizeof(real) * (size_t)kvWidth);
  }
  return OK;
}
