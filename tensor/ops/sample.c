// Drawing a token from each row of logits, without sorting them.
//
// "The most likely tokens until ... is reached" is a cut: all tokens above some logit, and the first few of those that
// have it. Reading a logit as an ordered integer, the cut is found digit by digit: a histogram over the highest eight
// bits tells in which bucket the target is reached, one over the next eight bits of that bucket where in it, and so on.
#include "math.h"
#include "rows.h"
#include "scratch.h"

enum { TEMPERATURE, TOP_K, TOP_P, MIN_P, UNIFORM, LIMIT, EDITS, TELLS, CONTROLS };
enum { ID, FACTOR, ADDED, PARTS_OF_EDIT };
enum { DIGIT_BITS = 8, BUCKETS = 1 << DIGIT_BITS, CHUNK = 256, AHEAD = 1024, BLOCK = 256 };

// A number that grows with the float; -0 and 0 are one.
static inline uint32_t ordered(float x) {
  const uint32_t bits = bits_of(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Makes the edits [first, end): positive scores are divided by a factor and negative ones multiplied, then a number is added.
static void edit(float *scores, const double *edits, int64_t first, int64_t end) {
  for (const double *e = edits + first * PARTS_OF_EDIT; e < edits + end * PARTS_OF_EDIT; e += PARTS_OF_EDIT) {
    float *score = scores + (int64_t)e[ID];
    const float factor = (float)e[FACTOR];
    *score = (*score > 0.0f ? *score / factor : *score * factor) + (float)e[ADDED];
  }
}

// The first of the largest numbers, and its place.
typedef struct {
  float score;
  int64_t id;
} Best;

// NaN is less than any number; of none, or of nothing but -∞ and NaN, the place is 0. `odd` tells whether there is NaN.
static Best best_of(const float *scores, int64_t n, int *odd) {
  Best best = {-INFINITY, 0};
  int nan = 0;
  int64_t chunk = 0;
  for (int64_t start = 0; start < n; start += CHUNK) {
    const int64_t end = start + CHUNK < n ? start + CHUNK : n;
    float top = -INFINITY;
    // A processor does not look beyond a page of memory by itself.
    for (int64_t i = start; i < end; i += LANES) __builtin_prefetch(scores + i + AHEAD, 0, 2);
#pragma omp simd reduction(max : top) reduction(| : nan)
    for (int64_t i = start; i < end; i++) {
      top = scores[i] > top ? scores[i] : top;
      nan |= scores[i] != scores[i];
    }
    if (top > best.score) best.score = top, chunk = start;
  }
  *odd = nan;
  if (best.score == -INFINITY) return best;
  for (best.id = chunk; scores[best.id] != best.score;) best.id++;
  return best;
}

// The same of logits whose product noted the largest of each BLOCK of them: only one block is read.
static Best best_of_blocks(const float *scores, const float *maxima, int64_t blocks, int *odd) {
  Best best = best_of(maxima, blocks, odd);
  best.id *= BLOCK;
  while (!*odd && scores[best.id] != best.score) best.id++;
  return best;
}

static double sum_of(const float *weights, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += weights[i];
  return sum;
}

// What a token counts for towards a target: its weight, or 1 if it has any.
static inline double worth(float weight, int byWeight) { return byWeight ? weight : weight > 0.0f; }

// The bucket of the highest digit in which `target` is reached; adds what lies in those above it.
static int first_bucket(const float *scores, const float *weights, int64_t n, double target, int byWeight,
                        double *above) {
  enum { PARTS = 4 }; // neighbours often fall into one bucket, where one sum would wait for the other
  double parts[PARTS][BUCKETS] = {0};
  for (int64_t i = 0; i < n; i++)
    parts[i % PARTS][ordered(scores[i]) >> (32 - DIGIT_BITS)] += worth(weights[i], byWeight);
  for (int bucket = BUCKETS - 1;; bucket--) {
    double sum = 0;
    for (int part = 0; part < PARTS; part++) sum += parts[part][bucket];
    if (bucket == 0 || *above + sum >= target) return bucket;
    *above += sum;
  }
}

// Sets to 0 the weights of all but the most likely tokens, as many as it takes until they reach `target`: in number, or
// in weight if `byWeight`. Of equal scores the first come first. `candidates` has room for n.
static void keep_likeliest(const float *scores, float *weights, int64_t n, double target, int byWeight,
                           int32_t *candidates) {
  double above = 0;
  uint32_t prefix = (uint32_t)first_bucket(scores, weights, n, target, byWeight, &above); // what is known of the cut
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    candidates[count] = (int32_t)i;
    count += ordered(scores[i]) >> (32 - DIGIT_BITS) == prefix;
  }
  for (int shift = 32 - 2 * DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
    double buckets[BUCKETS] = {0};
    int64_t left = 0;
    for (int64_t c = 0; c < count; c++)
      buckets[(ordered(scores[candidates[c]]) >> shift) & (BUCKETS - 1)] += worth(weights[candidates[c]], byWeight);
    int bucket = BUCKETS - 1;
    for (; bucket > 0 && above + buckets[bucket] < target; bucket--) above += buckets[bucket];
    prefix = prefix << DIGIT_BITS | (uint32_t)bucket;
    for (int64_t c = 0; c < count; c++)
      if (ordered(scores[candidates[c]]) >> shift == prefix) candidates[left++] = candidates[c];
    count = left;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++) weights[i] = ordered(scores[i]) < prefix ? 0.0f : weights[i];
  for (int64_t c = 0; c < count; c++) {
    float *weight = weights + candidates[c];
    if (above >= target) *weight = 0.0f;
    else above += worth(*weight, byWeight);
  }
}

// The token at which the running sum of weights passes `share` of their total.
static int64_t draw(const float *weights, int64_t n, double share) {
  double total = 0, sum = 0;
  for (int64_t i = 0; i < n; i += CHUNK) total += sum_of(weights + i, n - i < CHUNK ? n - i : CHUNK);
  const double target = share * total;
  int64_t last = 0;
  for (int64_t start = 0; start < n; start += CHUNK) {
    const int64_t end = start + CHUNK < n ? start + CHUNK : n;
    const double chunk = sum_of(weights + start, end - start);
    if (chunk == 0.0) continue;
    if (sum + chunk > target || end == n) {
      for (int64_t i = start; i < end; i++) {
        if (weights[i] == 0.0f) continue;
        last = i;
        sum += weights[i];
        if (sum > target) return i;
      }
    } else {
      sum += chunk;
      last = end - 1;
      while (weights[last] == 0.0f) last--;
    }
  }
  return last;
}

static int64_t choose(const float *scores, Best best, float *weights, int64_t n, const double *controls,
                      int32_t *candidates) {
  const double temperature = controls[TEMPERATURE];
  if (temperature == 0.0) return best.id;
  const float inverse = (float)(1.0 / temperature), least = (float)controls[MIN_P];
  // The most likely token stays likely whatever the temperature: ∞ · 0 would be NaN.
#pragma omp simd
  for (int64_t i = 0; i < n; i++) weights[i] = exp_nonpositive_f32((scores[i] - best.score) * inverse);
  weights[best.id] = 1.0f;
  if (least > 0.0f)
    for (int64_t i = 0; i < n; i++) weights[i] = weights[i] >= least ? weights[i] : 0.0f;
  if (controls[TOP_K] > 0.0 && controls[TOP_K] < (double)n)
    keep_likeliest(scores, weights, n, controls[TOP_K], 0, candidates);
  if (controls[TOP_P] < 1.0) keep_likeliest(scores, weights, n, controls[TOP_P] * sum_of(weights, n), 1, candidates);
  return draw(weights, n, controls[UNIFORM]);
}

// ln Σ e^logit.
static float log_sum_exp(const float *scores, float top, int64_t n) {
  float sum;
  SUM_OVER_ROW(sum, n, exp_nonpositive_f32(scores[i] - top))
  return top + log_f32(sum);
}

// Whether edits name tokens of the vocabulary, and rows have edits one after the other.
static int fits(const double *controls, int64_t rows, const double *edits, int64_t count, int64_t vocab) {
  double before = 0;
  for (int64_t row = 0; row < rows; row++) {
    const double end = controls[row * CONTROLS + EDITS];
    if (!(end >= before && end <= (double)count)) return 0;
    before = end;
  }
  for (int64_t i = 0; i < count; i++)
    if (!(edits[i * PARTS_OF_EDIT + ID] >= 0 && edits[i * PARTS_OF_EDIT + ID] < (double)vocab)) return 0;
  return 1;
}

// Slots: 0 ids, 1 logProbs, 2 totals, 3 logits, 4 controls: f64 [rows, CONTROLS], 5 edits: f64 [edits, PARTS_OF_EDIT],
// 6 maxima: f32 [rows, blocks], 7 rows, 8 vocab, 9 number of edits, 10 blocks: 0 where there are no maxima.
KERNEL(sample) {
  int32_t *ids = POINTER(int32_t, 0);
  float *logProbs = POINTER(float, 1), *totals = POINTER(float, 2);
  const real *logits = POINTER(const real, 3);
  const double *controls = POINTER(const double, 4), *edits = POINTER(const double, 5);
  const float *maxima = POINTER(const float, 6);
  const int64_t rows = INTEGER(7), vocab = INTEGER(8), blocks = INTEGER(10);
  if (!fits(controls, rows, edits, INTEGER(9), vocab)) return INDEX_OUT_OF_RANGE;
  int32_t status = OK;
#pragma omp parallel for schedule(dynamic, 1) if (rows > 1 && rows * vocab > PARALLEL_WORK)
  for (int64_t row = 0; row < rows; row++) {
    float *room = thread_scratch((size_t)(3 * vocab)), *weights = room + vocab;
    int32_t *candidates = (int32_t *)(weights + vocab);
    if (!room) {
#pragma omp atomic write
      status = OUT_OF_MEMORY;
      continue;
    }
    const double *own = controls + row * CONTROLS;
    const int64_t first = row > 0 ? (int64_t)own[EDITS - CONTROLS] : 0, end = (int64_t)own[EDITS];
    const int inPlace = sizeof(real) == sizeof(float) && end == first;
    const float *scores = inPlace ? (const float *)(logits + row * vocab) : room;
    if (!inPlace)
      for (int64_t i = 0; i < vocab; i++) room[i] = load(logits + row * vocab + i);
    int odd;
    Best best = inPlace && blocks > 0 ? best_of_blocks(scores, maxima + row * blocks, blocks, &odd)
                                      : best_of(scores, vocab, &odd);
    ids[row] = -1, logProbs[row] = totals[row] = NAN;
    if (odd || !isfinite(best.score)) continue;
    if (own[TELLS] > 0.0) totals[row] = log_sum_exp(scores, best.score, vocab);
    edit(room, edits, first, end);
    const int64_t n = own[LIMIT] > 0.0 && own[LIMIT] < (double)vocab ? (int64_t)own[LIMIT] : vocab;
    if (end > first || n < vocab) best = best_of(scores, n, &odd);
    const int64_t id = choose(scores, best, weights, n, own, candidates);
    if (scores[id] == -INFINITY || scores[id] != scores[id]) continue; // nothing is allowed
    ids[row] = (int32_t)id, logProbs[row] = load(logits + row * vocab + id) - totals[row];
  }
  return status;
}
