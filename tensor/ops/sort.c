// Sorting along the middle axis of [outer, n, inner]. Also for REAL_I32.
//
// An element becomes a key of 64 bits: its value in the high half, mapped so that larger means later, and its index in
// the low half. No two keys are equal, so that any way of sorting them keeps equal values in their order.
#include "along_axis.h"

// NaN is larger than any number, and all NaN are equal, as the zeros are.
static inline uint32_t rank_of(arith value) {
#if defined(REAL_I32)
  return (uint32_t)value ^ 0x80000000u;
#else
  if (value != value) return 0xffffffffu;
  const uint32_t bits = bits_of(value + 0.0f); // -0 becomes 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
#endif
}

static inline uint64_t key_of(arith value, int64_t index, int64_t descending) {
  const uint32_t rank = rank_of(value);
  return (uint64_t)(descending ? ~rank : rank) << 32 | (uint64_t)index;
}

static void insertion_sort(uint64_t *keys, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const uint64_t key = keys[i];
    int64_t j = i;
    for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
    keys[j] = key;
  }
}

// One pass of a radix sort, by the byte at `shift`. Returns 0 and moves nothing where all bytes are the same.
static int sort_by_byte(const uint64_t *from, uint64_t *to, int64_t n, int shift) {
  int64_t place[256] = {0};
  for (int64_t i = 0; i < n; i++) place[from[i] >> shift & 255]++;
  if (place[from[0] >> shift & 255] == n) return 0;
  for (int64_t byte = 0, next = 0; byte < 256; byte++) {
    const int64_t count = place[byte];
    place[byte] = next;
    next += count;
  }
  for (int64_t i = 0; i < n; i++) to[place[from[i] >> shift & 255]++] = from[i];
  return 1;
}

// Sorts keys that lie in the order of their indices; `spare` has room for as many. Returns where the result is.
static uint64_t *sort_keys(uint64_t *keys, uint64_t *spare, int64_t n) {
  if (n <= 64) {
    insertion_sort(keys, n);
    return keys;
  }
  for (int shift = 32; shift < 64; shift += 8)
    if (sort_by_byte(keys, spare, n, shift)) {
      uint64_t *sorted = spare;
      spare = keys;
      keys = sorted;
    }
  return keys;
}

// Slots: 0 values, 1 indices, 2 x, 3 outer, 4 n, 5 inner, 6 descending.
KERNEL(sort) {
  real *values = POINTER(real, 0);
  int32_t *indices = POINTER(int32_t, 1);
  const real *x = POINTER(const real, 2);
  const int64_t outer = INTEGER(3), n = INTEGER(4), inner = INTEGER(5), descending = INTEGER(6);
  int32_t status = OK;
#pragma omp parallel if (outer * n * inner > PARALLEL_WORK) reduction(max : status)
  {
    uint64_t *keys = malloc((size_t)(2 * n + 1) * sizeof *keys);
    if (!keys) status = OUT_OF_MEMORY;
#pragma omp for
    for (int64_t row = 0; row < outer * inner; row++) {
      if (!keys) continue;
      const int64_t first = row / inner * n * inner + row % inner;
      for (int64_t i = 0; i < n; i++) keys[i] = key_of(load(x + first + i * inner), i, descending);
      const uint64_t *sorted = sort_keys(keys, keys + n, n);
      for (int64_t i = 0; i < n; i++) {
        const int32_t at = (int32_t)sorted[i];
        indices[first + i * inner] = at;
        values[first + i * inner] = x[first + at * inner];
      }
    }
    free(keys);
  }
  return status;
}

// Moves the key at the top of a heap of the k smallest down to its place. The largest is on top.
static void sift_down(uint64_t *heap, int64_t k) {
  const uint64_t key = heap[0];
  int64_t i = 0;
  for (int64_t child = 1; child < k; child = 2 * i + 1) {
    if (child + 1 < k && heap[child + 1] > heap[child]) child++;
    if (heap[child] <= key) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = key;
}

// Puts the k smallest of the keys of x, `step` apart, in order. k > 0.
static void select_keys(const real *x, int64_t n, int64_t step, int64_t k, uint64_t *heap) {
  for (int64_t i = 0; i < k; i++) heap[i] = UINT64_MAX;
  for (int64_t i = 0; i < n; i++) {
    const uint64_t key = key_of(load(x + i * step), i, 1);
    if (key >= heap[0]) continue;
    heap[0] = key;
    sift_down(heap, k);
  }
  for (int64_t left = k; left > 1; left--) {
    const uint64_t largest = heap[0];
    heap[0] = heap[left - 1];
    sift_down(heap, left - 1);
    heap[left - 1] = largest;
  }
}

// Slots: 0 values, 1 indices, 2 x, 3 outer, 4 n, 5 inner, 6 k.
KERNEL(top_k) {
  real *values = POINTER(real, 0);
  int32_t *indices = POINTER(int32_t, 1);
  const real *x = POINTER(const real, 2);
  const int64_t outer = INTEGER(3), n = INTEGER(4), inner = INTEGER(5), k = INTEGER(6);
  if (k == 0) return OK;
  int32_t status = OK;
#pragma omp parallel if (outer * n * inner > PARALLEL_WORK) reduction(max : status)
  {
    uint64_t *heap = malloc((size_t)k * sizeof *heap);
    if (!heap) status = OUT_OF_MEMORY;
#pragma omp for
    for (int64_t row = 0; row < outer * inner; row++) {
      if (!heap) continue;
      const int64_t first = row / inner * n * inner + row % inner, to = row / inner * k * inner + row % inner;
      select_keys(x + first, n, inner, k, heap);
      for (int64_t i = 0; i < k; i++) {
        const int32_t at = (int32_t)heap[i];
        indices[to + i * inner] = at;
        values[to + i * inner] = x[first + at * inner];
      }
    }
    free(heap);
  }
  return status;
}
