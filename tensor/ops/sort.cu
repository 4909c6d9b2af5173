// Sorting along the middle axis of [outer, n, inner]. Also for REAL_I32.
//
// An element becomes a key of 64 bits: its value in the high half, mapped so that larger means later, and its index in
// the low half. No two keys are equal, so that any way of sorting them keeps equal values in their order. A block sorts
// one line in working space, by Batcher's bitonic network over the next power of two.
// Scratch: u64 [lines, n rounded up to a power of two].

__device__ inline uint32_t rank_of(arith value) {
#if defined(REAL_I32)
  return (uint32_t)value ^ 0x80000000u;
#else
  if (value != value) return 0xffffffffu; // NaN is larger than any number
  const uint32_t bits = __float_as_uint(value + 0.0f); // -0 becomes 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
#endif
}

__device__ inline int64_t power_of_two_from(int64_t n) {
  int64_t power = 1;
  while (power < n) power *= 2;
  return power;
}

__device__ inline void sort_keys(uint64_t *keys, int64_t n) {
  const OneBlock team;
  for (int64_t run = 2; run <= n; run *= 2)
    for (int64_t distance = run / 2; distance > 0; distance /= 2) {
      __syncthreads();
      FOR_TEAM(pair, n / 2) {
        const int64_t i = pair / distance * 2 * distance + pair % distance, j = i + distance;
        const uint64_t a = keys[i], b = keys[j];
        if ((a > b) == ((i & run) == 0)) keys[i] = b, keys[j] = a;
      }
    }
  __syncthreads();
}

// Sorts the line of this block and writes the first k of it, `inner` apart.
__device__ inline void sort_line(const Slots &args, const Context &context, int64_t k, bool descending) {
  const OneBlock team;
  const int64_t n = INTEGER(4), inner = INTEGER(5), line = blockIdx.x, padded = power_of_two_from(n);
  const real *x = POINTER(const real, 2) + line / inner * n * inner + line % inner;
  uint64_t *keys = (uint64_t *)context.scratch + line * padded;
  FOR_TEAM(i, padded) {
    if (i >= n) {
      keys[i] = ~(uint64_t)0;
      continue;
    }
    const uint32_t rank = rank_of(load(x + i * inner));
    keys[i] = (uint64_t)(descending ? ~rank : rank) << 32 | (uint64_t)i;
  }
  sort_keys(keys, padded);
  const int64_t first = line / inner * k * inner + line % inner;
  FOR_TEAM(i, k) {
    const int32_t at = (int32_t)keys[i];
    POINTER(int32_t, 1)[first + i * inner] = at;
    POINTER(real, 0)[first + i * inner] = x[at * inner];
  }
}

// Slots: 0 values, 1 indices, 2 x, 3 outer, 4 n, 5 inner, 6 descending.
KERNEL(sort) { sort_line(args, context, INTEGER(4), INTEGER(6)); }

// Slots: 0 values, 1 indices, 2 x, 3 outer, 4 n, 5 inner, 6 k.
KERNEL(top_k) { sort_line(args, context, INTEGER(6), true); }
