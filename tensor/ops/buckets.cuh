// Which entries name each of `size` rows, in order: entries of an i32 list, sorted by what they name, equal ones by
// their place. Adding up each row's entries in that order gives the same bits every time.
//
// Scratch: u32 [size + 1] where each bucket begins, u32 [size] a cursor, u32 [count] entries as they came, u32 [count]
// in order.

struct Buckets {
  uint32_t *starts, *cursors, *found, *ordered;
};

__device__ inline Buckets buckets_in(char *scratch, int64_t size, int64_t count) {
  uint32_t *starts = (uint32_t *)scratch, *cursors = starts + size + 1, *found = cursors + size;
  return {starts, cursors, found, found + count};
}

__device__ inline void bucket_clear(Buckets b, int64_t size) {
  FOR_GRID(i, size) b.cursors[i] = 0;
}

// How many entries each row has.
__device__ inline void bucket_count(const Context &context, Buckets b, const int32_t *indices, int64_t count,
                                    int64_t size) {
  FOR_GRID(i, count)
    if (index_fits(context, indices[i], i, size)) atomicAdd(b.cursors + indices[i], 1u);
}

// Where each bucket begins; one block.
__device__ inline void bucket_begin(Buckets b, int64_t size) {
  __shared__ uint32_t sums[THREADS];
  uint32_t total = 0;
  for (int64_t start = 0; start < size; start += THREADS) {
    const int64_t i = start + threadIdx.x;
    const uint32_t mine = i < size ? b.cursors[i] : 0;
    sums[threadIdx.x] = mine;
    __syncthreads();
    for (int distance = 1; distance < THREADS; distance *= 2) {
      const uint32_t before = threadIdx.x >= distance ? sums[threadIdx.x - distance] : 0;
      __syncthreads();
      sums[threadIdx.x] += before;
      __syncthreads();
    }
    if (i < size) b.starts[i] = b.cursors[i] = total + sums[threadIdx.x] - mine;
    total += sums[THREADS - 1];
    __syncthreads();
  }
  if (threadIdx.x == 0) b.starts[size] = total;
}

// Entries into their buckets, in no order.
__device__ inline void bucket_place(Buckets b, const int32_t *indices, int64_t count, int64_t size) {
  FOR_GRID(i, count)
    if (indices[i] >= 0 && indices[i] < size) b.found[atomicAdd(b.cursors + indices[i], 1u)] = (uint32_t)i;
}

// Each bucket in order, one block for each row: an entry's place is how many smaller ones there are.
__device__ inline void bucket_order(Buckets b) {
  const OneBlock team;
  const uint32_t *found = b.found + b.starts[blockIdx.x];
  const int64_t count = b.starts[blockIdx.x + 1] - b.starts[blockIdx.x];
  FOR_TEAM(i, count) {
    uint32_t smaller = 0;
    for (int64_t j = 0; j < count; j++) smaller += found[j] < found[i];
    b.ordered[b.starts[blockIdx.x] + smaller] = found[i];
  }
}
