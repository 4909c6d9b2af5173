// Scaled dot-product attention, backward: the scores are computed again from q, k and the saved log-sum-exp (Dao et
// al., FlashAttention, 2022, appendix B). With P the weights and D_i = Σ_d dO_id·O_id,
//
//   P  = 2^(scale·log2 e·Q Kᵀ - lse·log2 e)      dV = Pᵀ dO      dP = dO Vᵀ      dS = P∘(dP - D)
//   dQ = scale·dS K                              dK = scale·dSᵀ Q
//
// Keys and queries are gone over separately, so that every sum has one owner and runs in a fixed order.
// Slots: 0 q, 1 k, 2 v, 3 out, 4 lse, 5 dout, 6 dq, 7 dk, 8 dv, then those of attention_of. Scratch: f32 [query tokens,
// heads], D.
#include "attention.cuh"
#include "attention_tiles.cuh"

#define DELTA ((float *)context.scratch)

// Tokens outside of every sequence have no gradient.
KERNEL(attention_clear) {
  const Attention a = attention_of(args, 9);
  FOR_GRID(i, a.queryTokens * a.heads * a.headDim) store(POINTER(real, 6) + i, 0);
  FOR_GRID(i, a.keyTokens * a.kvHeads * a.headDim) store(POINTER(real, 7) + i, 0), store(POINTER(real, 8) + i, 0);
}

// D of each row; a warp for each.
KERNEL(attention_delta) {
  const Attention a = attention_of(args, 9);
  const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
  if (row >= a.queryTokens * a.heads) return;
  const OneWarp team;
  float sum = 0;
  FOR_TEAM(d, a.headDim)
    sum += load(POINTER(const real, 3) + row * a.headDim + d) * load(POINTER(const real, 5) + row * a.headDim + d);
  sum = sum_over(team, sum);
  if (team.rank() == 0) DELTA[row] = sum;
}

// lse in units of log2; +∞ for a row that sees no key, which makes its weights 0.
__device__ inline float row_log2_sum(const Slots &args, int64_t index) {
  const float lse = POINTER(const float, 4)[index];
  return lse == -INFINITY ? INFINITY : lse * LOG2E;
}

// The sequence and the first key of the block of `size` keys that this block of threads has.
struct KeyBlock {
  Stretch stretch;
  int64_t start, keys;
};
__device__ inline KeyBlock key_block(const Attention &a, int64_t size) {
  const int64_t sequence = sequence_of_block(a.keyStarts, 1, size, a.sequences, blockIdx.x);
  const Stretch s = stretch_of(a, sequence, blockIdx.y);
  const int64_t start = (blockIdx.x - first_block(s.firstKey, size, sequence)) * size;
  return {s, start, at_most(size, s.keys - start)};
}

// The first row that sees a key: rows see up to a position, and back to one.
__device__ inline int64_t first_row(const Attention &a, const Stretch &s, int64_t key) {
  const int64_t position = a.causal ? key : key - a.window + 1;
  return at_least(0, (position - (s.keys - s.queries)) * a.group);
}
// The row behind the last that sees a key.
__device__ inline int64_t end_row(const Attention &a, const Stretch &s, int64_t key) {
  return at_most(s.queries * a.group, at_least(0, (key + a.window - (s.keys - s.queries)) * a.group));
}
__device__ inline bool sees(const Range &keys, int64_t key) { return key >= keys.from && key < keys.to; }

// --- Any element type and head ---

// dQ: a warp for each row, a lane for each of 32 keys. Shared memory: f32 [8, 3, headDim], q, dO and dQ of each row.
KERNEL(attention_queries) {
  const Attention a = attention_of(args, 9);
  const RowBlock block = row_block(a, WARPS);
  const Stretch &s = block.stretch;
  if (block.rows <= 0 || !stretch_fits(context, a, s)) return;
  const OneWarp team;
  const int warp = threadIdx.x / 32, lane = team.rank();
  if (warp >= block.rows) return;
  const int64_t row = block.start + warp, headDim = a.headDim, index = query_index(a, s, row);
  float *q = (float *)dynamic_shared + warp * 3 * headDim, *dout = q + headDim, *dq = dout + headDim;
  FOR_TEAM(d, headDim) {
    q[d] = load(query_row(a, s, row) + d) * a.scale * LOG2E;
    dout[d] = load(POINTER(const real, 5) + index * headDim + d);
    dq[d] = 0;
  }
  __syncwarp();
  const float lse = row_log2_sum(args, index), delta = DELTA[index];
  const Range keys = visible_keys(a, s, row);
  for (int64_t start = keys.from; start < keys.to; start += 32) {
    const int count = (int)at_most(32, keys.to - start);
    float ds = 0;
    if (lane < count) {
      const real *k = key_row(a, s, a.k, start + lane), *v = key_row(a, s, a.v, start + lane);
      float score = 0, dp = 0;
      for (int64_t d = 0; d < headDim; d++) score += q[d] * load(k + d), dp += dout[d] * load(v + d);
      ds = exp2_f32(score - lse) * (dp - delta) * a.scale;
    }
    for (int j = 0; j < count; j++) {
      const float slope = __shfl_sync(0xffffffffu, ds, j);
      const real *k = key_row(a, s, a.k, start + j);
      FOR_TEAM(d, headDim) dq[d] += slope * load(k + d);
    }
  }
  FOR_TEAM(d, headDim) store(POINTER(real, 6) + index * headDim + d, dq[d]);
}

// dK and dV: a warp for each key, a lane for each of 32 rows. Shared memory: f32 [8, 4, headDim], k, v, dK and dV.
KERNEL(attention_keys) {
  const Attention a = attention_of(args, 9);
  const KeyBlock block = key_block(a, WARPS);
  const Stretch &s = block.stretch;
  if (block.keys <= 0 || !stretch_fits(context, a, s)) return;
  const OneWarp team;
  const int warp = threadIdx.x / 32, lane = team.rank();
  if (warp >= block.keys) return;
  const int64_t key = block.start + warp, headDim = a.headDim;
  float *k = (float *)dynamic_shared + warp * 4 * headDim, *v = k + headDim, *dk = v + headDim, *dv = dk + headDim;
  FOR_TEAM(d, headDim) {
    k[d] = load(key_row(a, s, a.k, key) + d) * a.scale * LOG2E;
    v[d] = load(key_row(a, s, a.v, key) + d);
    dk[d] = dv[d] = 0;
  }
  __syncwarp();
  const int64_t end = end_row(a, s, key);
  for (int64_t start = first_row(a, s, key); start < end; start += 32) {
    const int count = (int)at_most(32, end - start);
    float p = 0, ds = 0;
    if (lane < count) {
      const int64_t index = query_index(a, s, start + lane);
      const real *q = query_row(a, s, start + lane), *dout = POINTER(const real, 5) + index * headDim;
      float score = 0, dp = 0;
      for (int64_t d = 0; d < headDim; d++) score += load(q + d) * k[d], dp += load(dout + d) * v[d];
      if (sees(visible_keys(a, s, start + lane), key)) p = exp2_f32(score - row_log2_sum(args, index));
      ds = p * (dp - DELTA[index]) * a.scale;
    }
    for (int j = 0; j < count; j++) {
      const float weight = __shfl_sync(0xffffffffu, p, j), slope = __shfl_sync(0xffffffffu, ds, j);
      const real *q = query_row(a, s, start + j);
      const real *dout = POINTER(const real, 5) + query_index(a, s, start + j) * headDim;
      FOR_TEAM(d, headDim) dk[d] += slope * load(q + d), dv[d] += weight * load(dout + d);
    }
  }
  const int64_t at = (key_token(a, s, key) * a.kvHeads + s.kvHead) * headDim;
  FOR_TEAM(d, headDim) store(POINTER(real, 7) + at + d, dk[d]), store(POINTER(real, 8) + at + d, dv[d]);
}

// --- bf16 with heads of up to WIDTH, on the tensor cores ---

#if defined(REAL_BF16)

// Columns of scores that a warp works on at a time; few, for the registers that hold them.
template <int WIDTH> constexpr int STEP = WIDTH > 64 ? 32 : 64;
template <int WIDTH> constexpr int KEY_STEP = WIDTH > 64 ? 16 : 32;

// dQ of 64 rows. A warp has 16 of them and goes over the tiles of keys.
template <int WIDTH> __device__ inline void differentiate_queries(const Slots &args, const Context &context) {
  const Attention a = attention_of(args, 9);
  const RowBlock block = row_block(a, TILE);
  const Stretch &s = block.stretch;
  if (block.rows <= 0 || !stretch_fits(context, a, s)) return;
  typedef Tile<WIDTH> T;
  const T q = {(bf16 *)dynamic_shared}, dout = {q.data + T::bytes / 2};
  const T k = {q.data + 2 * (T::bytes / 2)}, v = {q.data + 3 * (T::bytes / 2)};
  const bf16 *douts = POINTER(const bf16, 5);
  load_tile(q, a.headDim, is_wide(a.q, a.headDim), a.q.data,
            [&](int i) { return i < block.rows ? query_row(a, s, block.start + i) : (const bf16 *)0; });
  load_tile(dout, a.headDim, is_aligned(douts) && a.headDim % 8 == 0, douts, [&](int i) {
    return i < block.rows ? douts + query_index(a, s, block.start + i) * a.headDim : (const bf16 *)0;
  });
  const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16;
  Range keys[2];
  float lse[2], delta[2];
  for (int half = 0; half < 2; half++) {
    const int64_t row = warp_row + lane / 4 + 8 * half;
    keys[half] = {0, 0}, lse[half] = INFINITY, delta[half] = 0;
    if (row >= block.rows) continue;
    const int64_t index = query_index(a, s, block.start + row);
    keys[half] = visible_keys(a, s, block.start + row);
    lse[half] = row_log2_sum(args, index), delta[half] = DELTA[index];
  }
  float dq[WIDTH / 8][4];
  clear(dq);
  const int64_t first = visible_keys(a, s, block.start).from / TILE * TILE;
  const int64_t last = visible_keys(a, s, block.start + block.rows - 1).to;
  for (int64_t tile = first; tile < last; tile += TILE) {
    const auto source = [&](const Operand &x) {
      return [&](int i) { return tile + i < s.keys ? key_row(a, s, x, tile + i) : (const bf16 *)0; };
    };
    load_tile(k, a.headDim, is_wide(a.k, a.headDim), a.k.data, source(a.k));
    load_tile(v, a.headDim, is_wide(a.v, a.headDim), a.v.data, source(a.v));
    commit_copies();
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int step = 0; step < TILE; step += STEP<WIDTH>) {
      float p[STEP<WIDTH> / 8][4], dp[STEP<WIDTH> / 8][4];
      clear(p), clear(dp);
      multiply_transposed<STEP<WIDTH>>(p, q, warp_row, k, step);
      multiply_transposed<STEP<WIDTH>>(dp, dout, warp_row, v, step);
#pragma unroll
      for (int j = 0; j < STEP<WIDTH> / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int64_t key = tile + step + j * 8 + lane % 4 * 2 + i % 2;
          const float weight = sees(keys[i / 2], key) ? exp2_f32(p[j][i] * (a.scale * LOG2E) - lse[i / 2]) : 0.0f;
          p[j][i] = weight * (dp[j][i] - delta[i / 2]);
        }
      multiply_weights<STEP<WIDTH>>(dq, p, k, step);
    }
    __syncthreads(); // before the tiles are overwritten
  }
  wait_copies<0>();
  const float factor[2] = {a.scale, a.scale};
  store_result<WIDTH>(dq, factor, a.headDim, [&](int half) {
    const int64_t row = warp_row + lane / 4 + 8 * half;
    return row < block.rows ? POINTER(bf16, 6) + query_index(a, s, block.start + row) * a.headDim : (bf16 *)0;
  });
}

// dK and dV of 64 keys. A warp has 16 of them, as rows of Pᵀ and dSᵀ, and goes over the tiles of queries.
template <int WIDTH> __device__ inline void differentiate_keys(const Slots &args, const Context &context) {
  const Attention a = attention_of(args, 9);
  const KeyBlock block = key_block(a, TILE);
  const Stretch &s = block.stretch;
  if (block.keys <= 0 || !stretch_fits(context, a, s)) return;
  typedef Tile<WIDTH> T;
  const T k = {(bf16 *)dynamic_shared}, v = {k.data + T::bytes / 2};
  const T q = {k.data + 2 * (T::bytes / 2)}, dout = {k.data + 3 * (T::bytes / 2)};
  __shared__ float lse[TILE], delta[TILE];
  __shared__ int from[TILE], to[TILE]; // keys that each row of the tile sees, counted from the block's first
  const bf16 *douts = POINTER(const bf16, 5);
  const auto source = [&](const Operand &x) {
    return [&](int i) { return i < block.keys ? key_row(a, s, x, block.start + i) : (const bf16 *)0; };
  };
  load_tile(k, a.headDim, is_wide(a.k, a.headDim), a.k.data, source(a.k));
  load_tile(v, a.headDim, is_wide(a.v, a.headDim), a.v.data, source(a.v));
  const int lane = threadIdx.x % 32, warp_key = threadIdx.x / 32 * 16;
  float dk[WIDTH / 8][4], dv[WIDTH / 8][4];
  clear(dk), clear(dv);
  const int64_t end = end_row(a, s, block.start + block.keys - 1);
  for (int64_t start = first_row(a, s, block.start) / TILE * TILE; start < end; start += TILE) {
    const int64_t rows = at_most(TILE, s.queries * a.group - start);
    load_tile(q, a.headDim, is_wide(a.q, a.headDim), a.q.data,
              [&](int i) { return i < rows ? query_row(a, s, start + i) : (const bf16 *)0; });
    load_tile(dout, a.headDim, is_aligned(douts) && a.headDim % 8 == 0, douts,
              [&](int i) { return i < rows ? douts + query_index(a, s, start + i) * a.headDim : (const bf16 *)0; });
    for (int i = threadIdx.x; i < TILE; i += blockDim.x) {
      lse[i] = INFINITY, delta[i] = 0, from[i] = to[i] = 0;
      if (i >= rows) continue;
      const int64_t index = query_index(a, s, start + i);
      const Range keys = visible_keys(a, s, start + i);
      lse[i] = row_log2_sum(args, index), delta[i] = DELTA[index];
      from[i] = (int)at_least(0, at_most(TILE, keys.from - block.start));
      to[i] = (int)at_least(0, at_most(TILE, keys.to - block.start));
    }
    commit_copies();
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int step = 0; step < TILE; step += KEY_STEP<WIDTH>) {
      float p[KEY_STEP<WIDTH> / 8][4], ds[KEY_STEP<WIDTH> / 8][4];
      clear(p), clear(ds);
      multiply_transposed<KEY_STEP<WIDTH>>(p, k, warp_key, q, step);
      multiply_transposed<KEY_STEP<WIDTH>>(ds, v, warp_key, dout, step);
#pragma unroll
      for (int j = 0; j < KEY_STEP<WIDTH> / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int row = step + j * 8 + lane % 4 * 2 + i % 2, key = warp_key + lane / 4 + i / 2 * 8;
          const bool seen = key >= from[row] && key < to[row];
          p[j][i] = seen ? exp2_f32(p[j][i] * (a.scale * LOG2E) - lse[row]) : 0.0f;
          ds[j][i] = p[j][i] * (ds[j][i] - delta[row]);
        }
      multiply_weights<KEY_STEP<WIDTH>>(dv, p, dout, step);
      multiply_weights<KEY_STEP<WIDTH>>(dk, ds, q, step);
    }
    __syncthreads(); // before the tiles are overwritten
  }
  wait_copies<0>();
  const auto place = [&](bf16 *out) {
    return [=](int half) {
      const int64_t key = warp_key + lane / 4 + 8 * half;
      if (key >= block.keys) return (bf16 *)0;
      return out + (key_token(a, s, block.start + key) * a.kvHeads + s.kvHead) * a.headDim;
    };
  };
  const float scales[2] = {a.scale, a.scale}, ones[2] = {1, 1};
  store_result<WIDTH>(dk, scales, a.headDim, place(POINTER(bf16, 7)));
  store_result<WIDTH>(dv, ones, a.headDim, place(POINTER(bf16, 8)));
}

KERNEL_OF(128, attention_queries_64) { differentiate_queries<64>(args, context); }
KERNEL_OF(128, attention_queries_128) { differentiate_queries<128>(args, context); }
KERNEL_OF(128, attention_keys_64) { differentiate_keys<64>(args, context); }
KERNEL_OF(128, attention_keys_128) { differentiate_keys<128>(args, context); }

#endif
