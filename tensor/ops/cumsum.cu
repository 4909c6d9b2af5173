// Running sums along the middle axis of [outer, n, inner], forwards or backwards. Also for REAL_I32.
// Sums of floats are kept in doubles, since their errors add up.
// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner, 5 backwards.

#if defined(REAL_I32)
typedef uint32_t sum_type; // wraps
#else
typedef double sum_type;
#endif

// Each lane's sum of its own value and those of the lanes before it.
__device__ inline sum_type warp_running_sum(sum_type value) {
  for (int distance = 1; distance < 32; distance *= 2) {
    const sum_type before = __shfl_up_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 >= distance) value += before;
  }
  return value;
}

// A warp goes along each line, 32 numbers at a time.
KERNEL(cumsum) {
  const int64_t n = INTEGER(3), inner = INTEGER(4), lines = INTEGER(2) * inner;
  const int64_t line = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
  if (line >= lines) return;
  const int64_t first = line / inner * n * inner + line % inner;
  // Backwards is forwards from the last element with a negative step.
  const int64_t begin = INTEGER(5) ? first + (n - 1) * inner : first, step = INTEGER(5) ? -inner : inner;
  sum_type total = 0;
  for (int64_t start = 0; start < n; start += 32) {
    const int64_t i = start + threadIdx.x % 32;
    const sum_type value = i < n ? (sum_type)load(POINTER(const real, 1) + begin + i * step) : (sum_type)0;
    const sum_type running = total + warp_running_sum(value);
    if (i < n) store(POINTER(real, 0) + begin + i * step, (arith)running);
    total = __shfl_sync(0xffffffffu, running, 31);
  }
}
