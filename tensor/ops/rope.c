// Rotary positions: each pair of a head's elements is a point in the plane, turned by an angle that grows with the
// position. The elements after the pairs are copied.
#include "rope.h"

// Pair i is elements 2i and 2i + 1.
static void rotate_interleaved(real *out, const real *x, const float *turns, int64_t pairs, float direction) {
#pragma omp simd
  for (int64_t i = 0; i < pairs; i++) {
    const float a = load(x + 2 * i), b = load(x + 2 * i + 1);
    const float cosine = turns[2 * i], sine = direction * turns[2 * i + 1];
    store(out + 2 * i, a * cosine - b * sine);
    store(out + 2 * i + 1, a * sine + b * cosine);
  }
}

// x: [batch, time, heads, headDim] with strides, its last axis contiguous; table: f32 [length, pairs, 2].
// Slots: 0 out, 1 x, 2 table, 3 positions or null: i32 [batch or 1, time], 4 offset, 5 batch, 6 time, 7 heads,
// 8 headDim, 9 to 11 strides of batch, time and heads, 12 length, 13 pairs, 14 positions from one batch element to the
// next, 15 interleaved, 16 direction.
KERNEL(rope) {
  real *out = POINTER(real, 0);
  const real *x = POINTER(const real, 1);
  const float *table = POINTER(const float, 2);
  const int32_t *positions = POINTER(const int32_t, 3);
  const int64_t offset = INTEGER(4), batch = INTEGER(5), time = INTEGER(6), heads = INTEGER(7), headDim = INTEGER(8);
  const int64_t length = INTEGER(12), pairs = INTEGER(13), positionsStep = INTEGER(14), interleaved = INTEGER(15);
  const float direction = FLOAT(16);
  int32_t status = OK;
#pragma omp parallel for if (batch * time * heads * headDim > PARALLEL_WORK)
  for (int64_t token = 0; token < batch * time; token++) {
    const int64_t element = token / time, step = token % time;
    const int64_t position = positions ? positions[element * positionsStep + step] : offset + step;
    if (position < 0 || position >= length) {
#pragma omp atomic write
      status = INDEX_OUT_OF_RANGE;
      continue;
    }
    const float *turns = table + position * pairs * 2;
    for (int64_t head = 0; head < heads; head++) {
      const real *from = x + element * INTEGER(9) + step * INTEGER(10) + head * INTEGER(11);
      real *to = out + (token * heads + head) * headDim;
      if (interleaved) rotate_interleaved(to, from, turns, pairs, direction);
      else rotate_half(to, from, turns, pairs, direction);
      memcpy(to + 2 * pairs, from + 2 * pairs, sizeof(real) * (size_t)(headDim - 2 * pairs));
    }
  }
  return status;
}
