// What a decoding step does between the projection of a layer and its attention; as place_heads.c.
// Slots: 0 q, 1 keys, 2 values, 3 projection, 4 table, 5 positions, 6 places, 7 keys before, 8 values before, 9 tokens,
// 10 heads, 11 kvHeads, 12 headDim, 13 positions of the table, 14 pairs, 15 places of the cache.

// The caches as they were, where the outputs are not the inputs.
KERNEL(place_heads_copy) {
  FOR_GRID(i, INTEGER(15) * INTEGER(11) * INTEGER(12)) {
    POINTER(real, 1)[i] = POINTER(const real, 7)[i];
    POINTER(real, 2)[i] = POINTER(const real, 8)[i];
  }
}

// A block for each token.
KERNEL(place_heads) {
  const int64_t token = blockIdx.x, heads = INTEGER(10), kvHeads = INTEGER(11), headDim = INTEGER(12);
  const int64_t pairs = INTEGER(14);
  const int64_t position = POINTER(const int32_t, 5)[token], place = POINTER(const int32_t, 6)[token];
  if (!index_fits(context, position, token, INTEGER(13)) || !index_fits(context, place, token, INTEGER(15))) return;
  const int64_t turned = (heads + kvHeads) * headDim, all = turned + kvHeads * headDim;
  const real *row = POINTER(const real, 3) + token * all;
  const float *turns = POINTER(const float, 4) + position * pairs * 2;
  real *q = POINTER(real, 0) + token * heads * headDim;
  real *keys = POINTER(real, 1) + place * kvHeads * headDim, *values = POINTER(real, 2) + place * kvHeads * headDim;
  const OneBlock team;
  FOR_TEAM(i, all) {
    if (i >= turned) {
      values[i - turned] = row[i];
      continue;
    }
    const int64_t at = i % headDim;
    const int64_t pair = at < pairs ? at : at - pairs; // its elements are `pairs` apart
    float value = load(row + i);
    if (at < pairs) value = value * turns[2 * pair] - load(row + i + pairs) * turns[2 * pair + 1];
    else if (pair < pairs) value = value * turns[2 * pair] + load(row + i - pairs) * turns[2 * pair + 1];
    store(i < heads * headDim ? q + i : keys + i - heads * headDim, value);
  }
}
