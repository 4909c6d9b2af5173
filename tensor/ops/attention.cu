// Scaled dot-product attention, forward: O = softmax(scale·Q Kᵀ + mask) V, without storing the scores.
//
// Online softmax (Milakov & Gimelshein 2018; Dao et al., FlashAttention, 2022). A row keeps its running maximum m, the
// sum l and the unnormalised output o. Scores s, already multiplied by scale·log2 e, update them by
//
//   m' = max(m, max s)      p = 2^(s - m')      l' = 2^(m - m')·l + Σ p      o' = 2^(m - m')·o + p·V
//
// and after the last key O = o / l and the log-sum-exp is m·ln 2 + ln l. A row never sees its neighbours, but for keys
// that are not finite: a weight of 0 does not hide those within a tile.
#include "attention.cuh"
#include "attention_tiles.cuh"

// --- Any element type and head: a warp for each row, a lane for each of 32 keys ---

// The block has 8 rows. Shared memory: f32 [8, 2, headDim], q and o of each row.
// Slots: 0 q, 1 k, 2 v, 3 out, 4 lse: f32 [query tokens, heads], then those of attention_of.
KERNEL(attention) {
  const Attention a = attention_of(args, 5);
  const RowBlock block = row_block(a, WARPS);
  const Stretch &s = block.stretch;
  const Range own = keys_of_block(a, s);
  if (block.rows <= 0 || own.from >= own.to || !stretch_fits(context, a, s)) return;
  const OneWarp team;
  const int warp = threadIdx.x / 32, lane = team.rank();
  if (warp >= block.rows) return;
  const int64_t row = block.start + warp, headDim = a.headDim;
  float *q = (float *)dynamic_shared + warp * 2 * headDim, *o = q + headDim;
  FOR_TEAM(d, headDim) q[d] = load(query_row(a, s, row) + d) * a.scale * LOG2E, o[d] = 0;
  __syncwarp();
  const Range keys = visible_keys_in(own, a, s, row);
  float m = -INFINITY, l = 0;
  for (int64_t start = keys.from; start < keys.to; start += 32) {
    const int count = (int)at_most(32, keys.to - start);
    float score = -INFINITY;
    if (lane < count) {
      const real *k = key_row(a, s, a.k, start + lane);
      score = 0;
      for (int64_t d = 0; d < headDim; d++) score += q[d] * load(k + d);
    }
    const float top = Largest::of(m, max_over(team, score)), factor = m == -INFINITY ? 0.0f : exp2_f32(m - top);
    const float p = lane < count && top != -INFINITY ? exp2_f32(score - top) : 0.0f;
    l = l * factor + sum_over(team, p);
    m = top;
    FOR_TEAM(d, headDim) o[d] *= factor;
    for (int j = 0; j < count; j++) {
      const float weight = __shfl_sync(0xffffffffu, p, j);
      const real *v = key_row(a, s, a.v, start + j);
      FOR_TEAM(d, headDim) o[d] += weight * load(v + d);
    }
  }
  if (is_split(a, s)) {
    float *part = part_of_row(context, a, s, row, blockIdx.z);
    FOR_TEAM(d, headDim) part[d] = o[d];
    if (lane == 0) part[headDim] = m, part[headDim + 1] = l;
    return;
  }
  const int64_t index = query_index(a, s, row);
  FOR_TEAM(d, headDim) store(POINTER(real, 3) + index * headDim + d, l > 0 ? o[d] / l : 0.0f);
  if (lane == 0) POINTER(float, 4)[index] = l > 0 ? m * LN2 + logf(l) : -INFINITY;
}

// Rows of sequences whose keys were cut: a block for each sequence and kv head, a warp for each row, a lane for some of
// the elements of a head.
KERNEL(attention_combine) {
  const Attention a = attention_of(args, 5);
  const Stretch s = stretch_of(a, blockIdx.x, blockIdx.y);
  if (!is_split(a, s) || !stretch_fits(context, a, s)) return;
  const OneWarp team;
  const int64_t headDim = a.headDim, parts = (s.keys + SPLIT_KEYS - 1) / SPLIT_KEYS;
  for (int64_t row = threadIdx.x / 32; row < s.queries * a.group; row += WARPS) {
    const float *first = part_of_row(context, a, s, row, 0);
    float m = -INFINITY, l = 0;
    for (int64_t part = 0; part < parts; part++) m = Largest::of(m, first[part * (headDim + 2) + headDim]);
    const float shift = m == -INFINITY ? 0.0f : m;
    const auto weight = [&](int64_t part) { return exp2_f32(first[part * (headDim + 2) + headDim] - shift); };
    for (int64_t part = 0; part < parts; part++) l += weight(part) * first[part * (headDim + 2) + headDim + 1];
    const int64_t index = query_index(a, s, row);
    FOR_TEAM(d, headDim) {
      float o = 0;
      for (int64_t part = 0; part < parts; part++) o += weight(part) * first[part * (headDim + 2) + d];
      store(POINTER(real, 3) + index * headDim + d, l > 0 ? o / l : 0.0f);
    }
    if (team.rank() == 0) POINTER(float, 4)[index] = l > 0 ? m * LN2 + logf(l) : -INFINITY;
  }
}

// --- bf16 with heads of up to WIDTH: tiles of 64 rows and 64 keys on the tensor cores ---

#if defined(REAL_BF16)

// A warp has 16 rows. A lane has those at lane / 4 and 8 below; of each 8 columns those at 2·(lane % 4) and next to it.
template <int WIDTH> __device__ inline void attend(const Slots &args, const Context &context) {
  const Attention a = attention_of(args, 5);
  const RowBlock block = row_block(a, TILE);
  const Stretch &s = block.stretch;
  const Range own = keys_of_block(a, s);
  if (block.rows <= 0 || own.from >= own.to || !stretch_fits(context, a, s)) return;
  typedef Tile<WIDTH> T;
  const T q = {(bf16 *)dynamic_shared};
  const T k[2] = {{q.data + T::bytes / 2}, {q.data + 2 * (T::bytes / 2)}};
  const T v[2] = {{q.data + 3 * (T::bytes / 2)}, {q.data + 4 * (T::bytes / 2)}};
  const int64_t first = visible_keys_in(own, a, s, block.start).from / TILE * TILE;
  const int64_t last = visible_keys_in(own, a, s, block.start + block.rows - 1).to;
  const bool wide_k = is_wide(a.k, a.headDim), wide_v = is_wide(a.v, a.headDim);

  const auto load_keys = [&](T tile, const Operand &x, bool wide, int64_t start) {
    load_tile(tile, a.headDim, wide, x.data,
              [&](int i) { return start + i < s.keys ? key_row(a, s, x, start + i) : (const bf16 *)0; });
  };
  load_tile(q, a.headDim, is_wide(a.q, a.headDim), a.q.data,
            [&](int i) { return i < block.rows ? query_row(a, s, block.start + i) : (const bf16 *)0; });
  if (first < last) load_keys(k[0], a.k, wide_k, first), load_keys(v[0], a.v, wide_v, first);
  commit_copies();

  const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16;
  Range keys[2];
  for (int half = 0; half < 2; half++) {
    const int64_t row = block.start + warp_row + lane / 4 + 8 * half;
    keys[half] = row < block.start + block.rows ? visible_keys_in(own, a, s, row) : Range{0, 0};
  }
  float o[WIDTH / 8][4], m[2] = {-INFINITY, -INFINITY}, l[2] = {0, 0};
  clear(o);
  const float factor = a.scale * LOG2E;
  int buffer = 0;
  for (int64_t tile = first; tile < last; tile += TILE, buffer ^= 1) {
    // The next tile comes while this one is worked on.
    if (tile + TILE < last) {
      load_keys(k[buffer ^ 1], a.k, wide_k, tile + TILE);
      load_keys(v[buffer ^ 1], a.v, wide_v, tile + TILE);
    }
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    float p[TILE / 8][4];
    clear(p);
    multiply_transposed<TILE>(p, q, warp_row, k[buffer], 0);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float top = m[half];
#pragma unroll
      for (int j = 0; j < TILE / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const int64_t key = tile + j * 8 + lane % 4 * 2 + i;
          float &score = p[j][2 * half + i];
          score = key >= keys[half].from && key < keys[half].to ? score * factor : -INFINITY;
          top = Largest::of(top, score);
        }
      top = Largest::of(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = Largest::of(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float shift = top == -INFINITY ? 0.0f : top, fade = exp2_f32(m[half] - shift);
      float sum = 0;
#pragma unroll
      for (int j = 0; j < TILE / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) sum += p[j][2 * half + i] = exp2_f32(p[j][2 * half + i] - shift);
      l[half] = l[half] * fade + sum; // of this lane's keys; added up over the row in the end
      m[half] = top;
#pragma unroll
      for (int j = 0; j < WIDTH / 8; j++) o[j][2 * half] *= fade, o[j][2 * half + 1] *= fade;
    }
    multiply_weights<TILE>(o, p, v[buffer], 0);
    __syncthreads(); // before the tile is overwritten
  }
  wait_copies<0>();

#pragma unroll
  for (int half = 0; half < 2; half++) {
    l[half] += __shfl_xor_sync(0xffffffffu, l[half], 1);
    l[half] += __shfl_xor_sync(0xffffffffu, l[half], 2);
  }
  if (is_split(a, s)) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int64_t row = warp_row + lane / 4 + 8 * half;
      if (row >= block.rows) continue;
      float *part = part_of_row(context, a, s, row, blockIdx.z);
#pragma unroll
      for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const int64_t d = j * 8 + lane % 4 * 2 + i;
          if (d < a.headDim) part[d] = o[j][2 * half + i];
        }
      if (lane % 4 == 0) part[a.headDim] = m[half], part[a.headDim + 1] = l[half];
    }
    return;
  }
  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    inverse[half] = l[half] > 0 ? 1.0f / l[half] : 0.0f;
    const int64_t row = warp_row + lane / 4 + 8 * half;
    if (row < block.rows && lane % 4 == 0)
      POINTER(float, 4)[query_index(a, s, block.start + row)] = l[half] > 0 ? m[half] * LN2 + logf(l[half]) : -INFINITY;
  }
  store_result<WIDTH>(o, inverse, a.headDim, [&](int half) {
    const int64_t row = warp_row + lane / 4 + 8 * half;
    return row < block.rows ? POINTER(bf16, 3) + query_index(a, s, block.start + row) * a.headDim : (bf16 *)0;
  });
}

KERNEL_OF(128, attention_64) { attend<64>(args, context); }
KERNEL_OF(128, attention_128) { attend<128>(args, context); }

#endif
