// Drawing a token from each row of logits, without sorting them; as sample.c. A block for each row.
//
// Weights are summed as whole numbers of 2^-40, so that sums do not depend on the order in which they are made.
//
// Slots: 0 ids, 1 logProbs, 2 totals, 3 logits, 4 controls: f64 [rows, CONTROLS], 5 edits: f64 [edits, PARTS_OF_EDIT],
// 6 maxima, which it does not need, 7 rows, 8 vocab, 9 number of edits. Scratch: f32 [rows, 2, vocab].

enum { TEMPERATURE, TOP_K, TOP_P, MIN_P, UNIFORM, LIMIT, EDITS, TELLS, CONTROLS };
enum { ID, FACTOR, ADDED, PARTS_OF_EDIT };
enum { DIGIT_BITS = 8, BUCKETS = 1 << DIGIT_BITS };

// A number that grows with the float; -0 and 0 are one, NaN is below all.
__device__ inline uint32_t ordered(float x) {
  if (x != x) return 0;
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct LargestKey {
  __device__ static uint64_t of(uint64_t a, uint64_t b) { return a > b ? a : b; }
};

// The first of the largest.
__device__ inline int64_t likeliest(const float *scores, int64_t n) {
  const OneBlock team;
  uint64_t best = 0;
  FOR_TEAM(i, n) best = LargestKey::of(best, (uint64_t)ordered(scores[i]) << 32 | (0xffffffffu - (uint32_t)i));
  best = team.reduce<LargestKey>(best);
  return at_most(n - 1, (int64_t)(0xffffffffu - (uint32_t)best));
}

__device__ inline uint64_t units(float weight) { return (uint64_t)((double)weight * 1099511627776.0); } // 2^40

__device__ inline uint64_t sum_of(const float *weights, int64_t n) {
  const OneBlock team;
  unsigned long long sum = 0;
  FOR_TEAM(i, n) sum += units(weights[i]);
  return team.reduce<Sum>(sum);
}

// How many threads of the block before this one have the flag, and how many have it at all.
__device__ inline int rank_among(bool flag, int *total) {
  __shared__ int counts[WARPS];
  const unsigned votes = __ballot_sync(0xffffffffu, flag);
  const int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) counts[warp] = __popc(votes);
  __syncthreads();
  int before = __popc(votes & ((1u << threadIdx.x % 32) - 1)), all = 0;
  for (int i = 0; i < WARPS; i++) {
    if (i < warp) before += counts[i];
    all += counts[i];
  }
  __syncthreads();
  *total = all;
  return before;
}

// Sets to 0 the weights of all but the most likely tokens, as many as it takes until they reach `target`: in number, or
// in weight if `byWeight`. The cut is found digit by digit of the ordered scores. Of equal scores the first come first.
__device__ inline void keep_likeliest(const float *scores, float *weights, int64_t n, uint64_t target, bool byWeight) {
  __shared__ unsigned long long buckets[BUCKETS];
  __shared__ unsigned long long reached; // by what lies above the cut
  __shared__ uint32_t cut;
  const OneBlock team;
  uint32_t known = 0;
  if (threadIdx.x == 0) cut = 0, reached = 0;
  for (int shift = 32 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
    for (int i = threadIdx.x; i < BUCKETS; i += blockDim.x) buckets[i] = 0;
    __syncthreads();
    const uint32_t prefix = cut;
    FOR_TEAM(i, n) {
      const uint32_t key = ordered(scores[i]);
      if (weights[i] > 0.0f && (key & known) == prefix)
        atomicAdd(&buckets[key >> shift & (BUCKETS - 1)], byWeight ? (unsigned long long)units(weights[i]) : 1ull);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int bucket = BUCKETS - 1;
#pragma unroll 1
      for (; bucket > 0 && reached + buckets[bucket] < target; bucket--) reached += buckets[bucket];
      cut = prefix | (uint32_t)bucket << shift;
    }
    __syncthreads();
    known |= (uint32_t)(BUCKETS - 1) << shift;
  }
  // Those at the cut have one score and one weight: the first few of them are kept.
  const uint32_t prefix = cut;
  const uint64_t missing = target > reached ? target - reached : 0;
  uint64_t seen = 0;
  for (int64_t start = 0; start < n; start += THREADS) {
    const int64_t i = start + threadIdx.x;
    const uint32_t key = i < n ? ordered(scores[i]) : 0;
    const bool at_cut = i < n && key == prefix && weights[i] > 0.0f;
    int count;
    const uint64_t rank = seen + (uint64_t)rank_among(at_cut, &count);
    seen += (uint64_t)count;
    if (i >= n) continue;
    if (key < prefix || (at_cut && rank * (byWeight ? units(weights[i]) : 1) >= missing)) weights[i] = 0.0f;
  }
  __syncthreads();
}

// The token at which the running sum of weights passes `share` of their total. Each thread has a stretch of them.
__device__ inline int64_t draw(const float *weights, int64_t n, double share) {
  __shared__ unsigned long long sums[THREADS];
  __shared__ long long chosen;
  const int64_t each = (n + THREADS - 1) / THREADS;
  const int64_t first = at_most(n, threadIdx.x * each), end = at_most(n, first + each);
  unsigned long long mine = 0;
  for (int64_t i = first; i < end; i++) mine += units(weights[i]);
  sums[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned long long total = 0;
#pragma unroll 1
    for (int t = 0; t < THREADS; t++) total += sums[t];
    const unsigned long long target = (unsigned long long)(share * (double)total);
    unsigned long long sum = 0;
    int owner = 0;
#pragma unroll 1
    for (int t = 0; t < THREADS; t++) {
      if (sums[t] == 0) continue;
      owner = t;
      if (sum + sums[t] > target) break;
      sum += sums[t];
    }
    chosen = 0;
    for (int64_t i = at_most(n, owner * each); i < at_most(n, (owner + 1) * each); i++) {
      if (weights[i] == 0.0f) continue;
      chosen = i;
      sum += units(weights[i]);
      if (sum > target) break;
    }
  }
  __syncthreads();
  return chosen;
}

__device__ inline int64_t choose(float *scores, float *weights, int64_t n, const double *controls) {
  const OneBlock team;
  const int64_t best = likeliest(scores, n);
  if (controls[TEMPERATURE] == 0.0) return best;
  const float top = scores[best], inverse = (float)(1.0 / controls[TEMPERATURE]), least = (float)controls[MIN_P];
  FOR_TEAM(i, n) {
    // The most likely token stays likely whatever the temperature: ∞ · 0 would be NaN.
    const float weight = i == best ? 1.0f : expf((scores[i] - top) * inverse);
    weights[i] = weight >= least ? weight : 0.0f;
  }
  __syncthreads();
  if (controls[TOP_K] > 0.0 && controls[TOP_K] < (double)n)
    keep_likeliest(scores, weights, n, (uint64_t)controls[TOP_K], false);
  if (controls[TOP_P] < 1.0)
    keep_likeliest(scores, weights, n, (uint64_t)(controls[TOP_P] * (double)sum_of(weights, n)), true);
  return draw(weights, n, controls[UNIFORM]);
}

// Makes the edits [first, end): positive scores are divided by a factor and negative ones multiplied, then a number is
// added. One thread does all, because an id may be there twice.
__device__ inline void edit(const Context &context, float *scores, const double *edits, int64_t first, int64_t end,
                            int64_t vocab) {
  if (threadIdx.x != 0) return;
  for (int64_t i = first; i < end; i++) {
    const double *e = edits + i * PARTS_OF_EDIT;
    if (!index_fits(context, (int64_t)e[ID], i, vocab)) continue;
    float *score = scores + (int64_t)e[ID];
    const float factor = (float)e[FACTOR];
    *score = (*score > 0.0f ? *score / factor : *score * factor) + (float)e[ADDED];
  }
}

KERNEL(sample) {
  const OneBlock team;
  const int64_t row = blockIdx.x, vocab = INTEGER(8);
  const double *controls = POINTER(const double, 4) + row * CONTROLS;
  const int64_t first = row > 0 ? (int64_t)controls[EDITS - CONTROLS] : 0, end = (int64_t)controls[EDITS];
  if (!index_fits(context, first, row, INTEGER(9) + 1) || !index_fits(context, end, row, INTEGER(9) + 1)) return;
  const real *logits = POINTER(const real, 3) + row * vocab;
  float *scores = (float *)context.scratch + row * 2 * vocab, *weights = scores + vocab;
  FOR_TEAM(i, vocab) scores[i] = load(logits + i);
  __syncthreads();
  const float top = scores[likeliest(scores, vocab)];
  float sum = 0;
  FOR_TEAM(i, vocab) sum += expf(scores[i] - top);
  const float total = top + logf(sum_over(team, sum));
  int64_t id = -1;
  if (fabsf(total) < INFINITY) {
    edit(context, scores, POINTER(const double, 5), first, end, vocab);
    __syncthreads();
    const int64_t n = controls[LIMIT] > 0.0 && controls[LIMIT] < (double)vocab ? (int64_t)controls[LIMIT] : vocab;
    id = choose(scores, weights, n, controls);
    if (!(scores[id] > -INFINITY)) id = -1; // nothing is allowed
  }
  if (threadIdx.x != 0) return;
  const bool tells = controls[TELLS] > 0.0;
  POINTER(int32_t, 0)[row] = (int32_t)id;
  POINTER(float, 1)[row] = id < 0 || !tells ? NAN : load(logits + id) - total;
  POINTER(float, 2)[row] = tells ? total : NAN;
}
