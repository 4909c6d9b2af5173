// Rotary positions: each pair of a head's elements is a point in the plane, turned by an angle that grows with the
// position. The elements after the pairs are copied.
//
// x: [batch, time, heads, headDim] with strides, its last axis contiguous; table: f32 [length, pairs, 2].
// Slots: 0 out, 1 x, 2 table, 3 positions or null: i32 [batch or 1, time], 4 offset, 5 batch, 6 time, 7 heads,
// 8 headDim, 9 to 11 strides of batch, time and heads, 12 length, 13 pairs, 14 positions from one batch element to the
// next, 15 interleaved, 16 direction.
KERNEL(rope) {
  const int32_t *positions = POINTER(const int32_t, 3);
  const int64_t time = INTEGER(6), heads = INTEGER(7), headDim = INTEGER(8), pairs = INTEGER(13);
  const int64_t token = blockIdx.x, element = token / time, step = token % time;
  const int64_t place = element * INTEGER(14) + step;
  const int64_t position = positions ? positions[place] : INTEGER(4) + step;
  if (!index_fits(context, position, positions ? place : step, INTEGER(12))) return;
  const float *turns = POINTER(const float, 2) + position * pairs * 2;
  const real *x = POINTER(const real, 1) + element * INTEGER(9) + step * INTEGER(10);
  real *out = POINTER(real, 0) + token * heads * headDim;
  const bool interleaved = INTEGER(15);
  const OneBlock team;
  FOR_TEAM(k, heads * pairs) {
    const int64_t head = k / pairs, i = k % pairs;
    const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : pairs + i;
    const real *from = x + head * INTEGER(11);
    const float a = load(from + first), b = load(from + second);
    const float cosine = turns[2 * i], sine = FLOAT(16) * turns[2 * i + 1];
    store(out + head * headDim + first, a * cosine - b * sine);
    store(out + head * headDim + second, a * sine + b * cosine);
  }
  const int64_t rest = headDim - 2 * pairs;
  FOR_TEAM(k, heads * rest) {
    const int64_t head = k / rest, i = 2 * pairs + k % rest;
    out[head * headDim + i] = x[head * INTEGER(11) + i];
  }
}
