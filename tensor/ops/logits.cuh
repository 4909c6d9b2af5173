// Rows of logits, each turned into a distribution by one block: p = softmax(z), z = logits / temperature; as logits.h.
//
// Logits are `real`, or f32 where they are `wide`: a head of bf16 weights leaves them in f32 until their gradient is
// rounded.

// Entries are read, and gradients written, GROUP at a time where rows are aligned to that.

enum { GROUP = 4 };

template <class T> struct Logits {
  const T *row;
  float inverse_temperature;
  // z of entry i.
  __device__ float operator[](int64_t i) const {
    if constexpr (sizeof(T) == 4) return ((const float *)row)[i] * inverse_temperature;
    else return f32_of_bf16(((const uint16_t *)row)[i]) * inverse_temperature;
  }
  __device__ bool is_grouped(int64_t n) const { return n % GROUP == 0 && (uint64_t)row % (GROUP * sizeof(T)) == 0; }
  // z of entries [i, i + GROUP), those before n.
  __device__ void load(int64_t i, int64_t n, bool grouped, float z[GROUP]) const {
    if (!grouped) {
#pragma unroll
      for (int k = 0; k < GROUP; k++) z[k] = i + k < n ? (*this)[i + k] : -INFINITY;
      return;
    }
    if constexpr (sizeof(T) == 4) {
      const float4 four = *(const float4 *)(row + i);
      z[0] = four.x, z[1] = four.y, z[2] = four.z, z[3] = four.w;
    } else {
      const uint2 four = *(const uint2 *)(row + i);
      z[0] = __uint_as_float(four.x << 16), z[1] = __uint_as_float(four.x & 0xffff0000u);
      z[2] = __uint_as_float(four.y << 16), z[3] = __uint_as_float(four.y & 0xffff0000u);
    }
#pragma unroll
    for (int k = 0; k < GROUP; k++) z[k] *= inverse_temperature;
  }
};

// Stores entries [i, i + GROUP) of a row, those before n.
__device__ inline void store_group(real *out, int64_t i, int64_t n, bool grouped, const float values[GROUP]) {
  if (!grouped) {
#pragma unroll
    for (int k = 0; k < GROUP; k++)
      if (i + k < n) store(out + i + k, values[k]);
    return;
  }
#if defined(REAL_BF16)
  *(uint2 *)(out + i) = make_uint2(bf16_pair(values[0], values[1]), bf16_pair(values[2], values[3]));
#else
  *(float4 *)(out + i) = make_float4(values[0], values[1], values[2], values[3]);
#endif
}

#define FOR_TEAM_GROUPS(i, n)                                                                                         \
  for (int64_t i = (int64_t)team.rank() * GROUP; i < (n); i += (int64_t)team.size() * GROUP)

// What a row of logits says as a whole.
struct Distribution {
  float log_sum_exp, entropy, mean;
};

// One pass over the row: each thread keeps its maximum m and sums of e^(z - m), (z - m)·e^(z - m) and z; in the end all
// are brought to the maximum of the row.
template <class L> __device__ inline Distribution distribution_of(L logits, int64_t n) {
  const OneBlock team;
  const bool grouped = logits.is_grouped(n);
  float m = -INFINITY, exponentials = 0, weighted = 0, plain = 0;
  FOR_TEAM_GROUPS(i, n) {
    float z[GROUP], top = m;
    logits.load(i, n, grouped, z);
#pragma unroll
    for (int k = 0; k < GROUP; k++) {
      if (i + k < n) plain += z[k];
      top = Largest::of(top, z[k]);
    }
    if (top == -INFINITY) continue; // these add nothing but to the mean
    if (top > m) {
      const float factor = expf(m - top); // 0 at first
      weighted = m == -INFINITY ? 0.0f : (weighted + (m - top) * exponentials) * factor;
      exponentials *= factor;
      m = top;
    }
#pragma unroll
    for (int k = 0; k < GROUP; k++) {
      const float e = expf(z[k] - m);
      exponentials += e;
      if (z[k] != -INFINITY) weighted += (z[k] - m) * e;
    }
  }
  const float top = max_over(team, m);
  if (m != -INFINITY) {
    const float factor = expf(m - top);
    weighted = (weighted + (m - top) * exponentials) * factor;
    exponentials *= factor;
  }
  exponentials = sum_over(team, exponentials);
  weighted = sum_over(team, weighted);
  plain = sum_over(team, plain);
  const float log_sum = logf(exponentials);
  return {top + log_sum, log_sum - weighted / exponentials, plain / (float)n};
}
