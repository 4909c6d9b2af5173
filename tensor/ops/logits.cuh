// Rows of logits, each turned into a distribution by one block: p = softmax(z), z = logits / temperature; as logits.h.
//
// Logits are `real`, or f32 where they are `wide`: a head of bf16 weights leaves them in f32 until their gradient is
// rounded.

template <class T> struct Logits {
  const T *row;
  float inverse_temperature;
  // z of entry i.
  __device__ float operator[](int64_t i) const {
    if constexpr (sizeof(T) == 4) return ((const float *)row)[i] * inverse_temperature;
    else return f32_of_bf16(((const uint16_t *)row)[i]) * inverse_temperature;
  }
};

// What a row of logits says as a whole.
struct Distribution {
  float log_sum_exp, entropy, mean;
};

// One pass over the row: each thread keeps its maximum m and sums of e^(z - m), (z - m)·e^(z - m) and z; in the end all
// are brought to the maximum of the row.
template <class L> __device__ inline Distribution distribution_of(L logits, int64_t n) {
  const OneBlock team;
  float m = -INFINITY, exponentials = 0, weighted = 0, plain = 0;
  FOR_TEAM(i, n) {
    const float z = logits[i];
    plain += z;
    if (z == -INFINITY) continue; // adds nothing but to the mean
    if (z > m) {
      const float factor = expf(m - z); // 0 at first
      weighted = m == -INFINITY ? 0.0f : (weighted + (m - z) * exponentials) * factor;
      exponentials *= factor;
      m = z;
    }
    const float e = expf(z - m);
    exponentials += e;
    weighted += (z - m) * e;
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
