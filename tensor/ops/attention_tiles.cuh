// Tiles of bf16 in shared memory for the tensor cores: ROWS x WIDTH elements, whose rows are 16 bytes longer than they
// need be, so that eight of them lie in different banks.

#include "tensor_cores.cuh"

#if defined(REAL_BF16)

enum { TILE = 64 };

template <int WIDTH> struct Tile {
  bf16 *data;
  static constexpr int stride = WIDTH + 8;
  static constexpr int bytes = TILE * stride * 2;
  __device__ bf16 *row(int i) const { return data + i * stride; }
};

// Rows of headDim elements become rows of the tile, the rest zeros. `source(i)` is row i, or null for none. The copies
// go on by themselves where rows are aligned; commit_copies() closes the group.
template <int WIDTH, class Source>
__device__ inline void load_tile(Tile<WIDTH> tile, int64_t headDim, bool wide, const bf16 *anywhere, Source source) {
  for (int i = threadIdx.x; i < TILE * (WIDTH / 8); i += blockDim.x) {
    const int row = i / (WIDTH / 8), column = i % (WIDTH / 8) * 8;
    const bf16 *from = source(row);
    const int valid = from ? (int)at_least(0, at_most(8, headDim - column)) : 0;
    bf16 *to = tile.row(row) + column;
    if (wide) {
      copy_async_16(to, valid ? from + column : anywhere, 2 * valid);
    } else {
      for (int k = 0; k < 8; k++) to[k] = k < valid ? from[column + k] : 0;
    }
  }
}

// 16 rows and 16 columns as the left operand of a product.
template <int WIDTH> __device__ inline void left_operand(uint32_t a[4], Tile<WIDTH> tile, int row, int column) {
  const int lane = threadIdx.x % 32;
  load_matrices(a, tile.row(row + lane % 16) + column + lane / 16 * 8, false);
}

// The transpose of 16 rows and 16 columns as two right operands, for rows [row, row + 8) and the next eight: of A·Bᵀ.
template <int WIDTH> __device__ inline void right_transposed(uint32_t b[4], Tile<WIDTH> tile, int row, int column) {
  const int lane = threadIdx.x % 32, matrix = lane / 8;
  load_matrices(b, tile.row(row + matrix / 2 * 8 + lane % 8) + column + matrix % 2 * 8, false);
}

// 16 rows and 16 columns as two right operands, for columns [column, column + 8) and the next eight: of A·B.
template <int WIDTH> __device__ inline void right_operand(uint32_t b[4], Tile<WIDTH> tile, int row, int column) {
  const int lane = threadIdx.x % 32, matrix = lane / 8;
  load_matrices(b, tile.row(row + matrix % 2 * 8 + lane % 8) + column + matrix / 2 * 8, true);
}

// scores += A·Bᵀ for 16 rows of A from `first` and COUNT rows of B.
template <int COUNT, int WIDTH>
__device__ inline void multiply_transposed(float (&scores)[COUNT / 8][4], Tile<WIDTH> a, int first, Tile<WIDTH> b,
                                           int b_first) {
#pragma unroll
  for (int k = 0; k < WIDTH; k += 16) {
    uint32_t left[4];
    left_operand(left, a, first, k);
#pragma unroll
    for (int j = 0; j < COUNT; j += 16) {
      uint32_t right[4];
      right_transposed(right, b, b_first + j, k);
      mma_bf16(scores[j / 8], left, right);
      mma_bf16(scores[j / 8 + 1], left, right + 2);
    }
  }
}

// sums += P·B for 16 x COUNT weights P as the lanes have them after a product, rounded to bf16, and COUNT rows of B.
template <int COUNT, int WIDTH>
__device__ inline void multiply_weights(float (&sums)[WIDTH / 8][4], const float (&p)[COUNT / 8][4], Tile<WIDTH> b,
                                        int b_first) {
#pragma unroll
  for (int k = 0; k < COUNT; k += 16) {
    const float *low = p[k / 8], *high = p[k / 8 + 1];
    const uint32_t left[4] = {bf16_pair(low[0], low[1]), bf16_pair(low[2], low[3]), bf16_pair(high[0], high[1]),
                              bf16_pair(high[2], high[3])};
#pragma unroll
    for (int j = 0; j < WIDTH; j += 16) {
      uint32_t right[4];
      right_operand(right, b, b_first + k, j);
      mma_bf16(sums[j / 8], left, right);
      mma_bf16(sums[j / 8 + 1], left, right + 2);
    }
  }
}

template <int N> __device__ inline void clear(float (&sums)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; i++) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0;
}

// Stores a 16 x WIDTH result times a factor for each of its two rows of a lane; `to(half)` is where row 8·half + lane /
// 4 goes, or null.
template <int WIDTH, class To>
__device__ inline void store_result(const float (&sums)[WIDTH / 8][4], const float factor[2], int64_t headDim, To to) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    bf16 *out = to(half);
    if (!out) continue;
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++) {
      const int column = j * 8 + threadIdx.x % 4 * 2;
      for (int k = 0; k < 2; k++)
        if (column + k < headDim) out[column + k] = bf16_of_f32(sums[j][2 * half + k] * factor[half]);
    }
  }
}

// Whether rows of an operand can be copied 16 bytes at a time.
__device__ inline bool is_wide(const Operand &x, int64_t headDim) {
  return is_aligned(x.data) && x.token % 8 == 0 && x.head % 8 == 0 && headDim % 8 == 0;
}

#endif
