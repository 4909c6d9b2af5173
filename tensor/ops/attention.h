// What attention forward and backward share: the operands, which keys a query sees, 2^x, and the memory of a thread.
//
// All queries of the heads that share one kv head are the rows of one matrix, query after query and head after head:
// row r of a sequence is query r / group of head kvHead·group + r % group. Keys come in tiles of KEY_TILE that start at
// multiples of KEY_TILE, whatever the queries.
#pragma once
#include "math.h"
#include "scratch.h"

enum { KEY_TILE = 64 };

// One [tokens, heads, headDim] operand; the last axis is contiguous. Strides count elements.
typedef struct {
  const real *data;
  int64_t token, head;
} Operand;

typedef struct {
  Operand q, k, v;
  const int32_t *queryOffsets, *keyStarts, *keyLengths;
  // Keys of a sequence in blocks of 2^blockShift tokens: keyStarts is then [sequences, blocks], the numbers of the
  // blocks of each. Otherwise -1, and they are one run.
  int64_t blockShift, blocks;
  int64_t sequences, heads, kvHeads, group, headDim;
  int64_t width; // headDim rounded up to whole vectors
  int64_t window;
  int causal;
  float scale;
} Attention;

// The argument slots, from the first one after the tensors: sequence arrays, sizes, strides, masks, scale, the numbers of
// query and key tokens, tokens of a block or 0, blocks of a sequence at most.
static inline Attention attention_of(const uint64_t *args, int first) {
  const uint64_t *slot = args + first;
  Attention a = {
      .queryOffsets = (const int32_t *)(uintptr_t)slot[0],
      .keyStarts = (const int32_t *)(uintptr_t)slot[1],
      .keyLengths = (const int32_t *)(uintptr_t)slot[2],
      .sequences = (int64_t)slot[3],
      .heads = (int64_t)slot[4],
      .kvHeads = (int64_t)slot[5],
      .headDim = (int64_t)slot[6],
      .q = {POINTER(const real, 0), (int64_t)slot[7], (int64_t)slot[8]},
      .k = {POINTER(const real, 1), (int64_t)slot[9], (int64_t)slot[10]},
      .v = {POINTER(const real, 2), (int64_t)slot[11], (int64_t)slot[12]},
      .causal = slot[13] != 0,
      .window = (int64_t)slot[14],
      .scale = float_bits((uint32_t)slot[15]),
      .blockShift = -1,
      .blocks = (int64_t)slot[19],
  };
  for (int64_t tokens = (int64_t)slot[18]; tokens > 0; tokens /= 2) a.blockShift++;
  a.group = a.kvHeads > 0 ? a.heads / a.kvHeads : 0;
  a.width = (a.headDim + LANES - 1) / LANES * LANES;
  const int64_t unlimited = (int64_t)1 << 40; // beyond any distance between a query and a key
  if (a.window <= 0 || a.window > unlimited) a.window = unlimited;
  return a;
}

static inline int64_t at_least(int64_t low, int64_t value) { return value < low ? low : value; }
static inline int64_t at_most(int64_t high, int64_t value) { return value > high ? high : value; }

// Where a thread asks for the keys and values of the sequence that it comes to next, all heads of them, as they lie in
// memory: first the keys, then the values, run by run.
typedef struct {
  const Attention *attention;
  int64_t sequence;
  int64_t done; // tokens of keys, then of values, in the runs up to this one
  const char *at, *end;
} Ahead;

// One sequence under one kv head.
typedef struct {
  int64_t kvHead, firstQuery, queries, firstKey, keys;
  const int32_t *blocks;
  Ahead *ahead; // NULL where nothing is asked for
} Stretch;

static inline Stretch stretch_of(const Attention *a, int64_t sequence, int64_t kvHead) {
  const int64_t firstQuery = a->queryOffsets[sequence];
  const int64_t queries = a->queryOffsets[sequence + 1] - firstQuery, keys = a->keyLengths[sequence];
  if (a->blockShift >= 0)
    return (Stretch){kvHead, firstQuery, queries, 0, keys, a->keyStarts + sequence * a->blocks, NULL};
  return (Stretch){kvHead, firstQuery, queries, a->keyStarts[sequence], keys, NULL, NULL};
}

// Where a key of the stretch lies among the tokens of k and v. Keys from a multiple of 16 to the next are always one run.
static inline int64_t key_token(const Attention *a, const Stretch *s, int64_t key) {
  if (!s->blocks) return s->firstKey + key;
  const int64_t first = (int64_t)s->blocks[key >> a->blockShift] << a->blockShift;
  return first + (key & (((int64_t)1 << a->blockShift) - 1));
}
static inline const real *key_row(const Attention *a, const Stretch *s, Operand x, int64_t key) {
  return x.data + key_token(a, s, key) * x.token + s->kvHead * x.head;
}

// Goes on to the next run of tokens. Returns whether there is one.
static __attribute__((noinline)) int next_run(Ahead *ahead) {
  const Attention *a = ahead->attention;
  const Stretch s = stretch_of(a, ahead->sequence, 0);
  if (ahead->done >= 2 * s.keys) return 0;
  const int values = ahead->done >= s.keys;
  const Operand x = values ? a->v : a->k;
  const int64_t key = ahead->done - values * s.keys, left = s.keys - key;
  const int64_t tokens = s.blocks ? at_most((int64_t)1 << a->blockShift, left) : left;
  ahead->at = (const char *)key_row(a, &s, x, key);
  ahead->end = ahead->at + tokens * x.token * (int64_t)sizeof(real);
  ahead->done += tokens;
  return 1;
}

// Asks for about so many bytes more. Asked for between the products of a thread, and in the order of memory, which the
// processor continues by itself, they come meanwhile; many requests at once would hold the products up.
static inline __attribute__((always_inline)) void fetch_ahead(Ahead *ahead, const int64_t bytes) {
  enum { LINE = 64 };
  if (!ahead || (ahead->at >= ahead->end && !next_run(ahead))) return;
#pragma GCC unroll 16
  for (int64_t i = 0; i < bytes; i += LINE) __builtin_prefetch(ahead->at + i, 0, 2);
  ahead->at += (bytes + LINE - 1) / LINE * LINE;
}

// Whether all blocks of a sequence that hold keys are among the tokens.
static inline int blocks_fit(const Attention *a, int64_t sequence, int64_t keyTokens) {
  const int64_t keys = a->keyLengths[sequence], used = (keys + ((int64_t)1 << a->blockShift) - 1) >> a->blockShift;
  if (keys < 0 || used > a->blocks) return 0;
  for (int64_t b = 0; b < used; b++) {
    const int64_t block = a->keyStarts[sequence * a->blocks + b];
    if (block < 0 || (block + 1) << a->blockShift > keyTokens) return 0;
  }
  return 1;
}

// Whether every query belongs to one sequence, and all keys lie among the tokens; with `disjoint`, those of each
// sequence after those of the one before.
static inline int sequences_fit(const Attention *a, int64_t queryTokens, int64_t keyTokens, int disjoint) {
  int64_t end = 0;
  for (int64_t s = 0; s < a->sequences; s++) {
    if (a->queryOffsets[s + 1] < a->queryOffsets[s]) return 0;
    if (a->blockShift >= 0) {
      if (!blocks_fit(a, s, keyTokens)) return 0;
      continue;
    }
    const int64_t from = a->keyStarts[s], to = from + a->keyLengths[s];
    if (from < (disjoint ? end : 0) || to < from || to > keyTokens) return 0;
    end = to;
  }
  return a->queryOffsets[0] == 0 && a->queryOffsets[a->sequences] == queryTokens;
}

static inline int64_t query_token(const Attention *a, const Stretch *s, int64_t row) {
  return s->firstQuery + row / a->group;
}
static inline int64_t query_head(const Attention *a, const Stretch *s, int64_t row) {
  return s->kvHead * a->group + row % a->group;
}

// Where the row lies in what is contiguous [query tokens, heads].
static inline int64_t query_index(const Attention *a, const Stretch *s, int64_t row) {
  return query_token(a, s, row) * a->heads + query_head(a, s, row);
}
static inline const real *query_row(const Attention *a, const Stretch *s, int64_t row) {
  return a->q.data + query_token(a, s, row) * a->q.token + query_head(a, s, row) * a->q.head;
}

// Keys [from, to).
typedef struct {
  int64_t from, to;
} Range;

// The keys a row sees; both ends grow with the row.
static inline Range visible_keys(const Attention *a, const Stretch *s, int64_t row) {
  const int64_t position = s->keys - s->queries + row / a->group;
  const int64_t to = at_least(0, at_most(s->keys, a->causal ? position + 1 : position + a->window));
  const int64_t from = at_most(to, at_least(0, position - a->window + 1));
  return (Range){from, to};
}

// The part of `keys` inside the tile that starts at key `tile`, counted from there.
static inline Range within_tile(Range keys, int64_t tile) {
  const int64_t from = at_most(KEY_TILE, at_least(0, keys.from - tile));
  return (Range){from, at_least(from, at_most(KEY_TILE, keys.to - tile))};
}

// Products of a query with a key, summed over all sequences and heads: what decides whether to go parallel.
static inline int64_t attention_products(const Attention *a) {
  int64_t pairs = 0;
  for (int64_t s = 0; s < a->sequences; s++)
    pairs += (int64_t)(a->queryOffsets[s + 1] - a->queryOffsets[s]) * a->keyLengths[s];
  return pairs * a->heads * a->headDim;
}

// 2^x for x <= 126; 0 below -126, so that no result is subnormal. Adding 1.5·2^23 rounds x to an integer and leaves it
// in the low bits, where 127 more makes it the exponent field of 2^n. The polynomial is a minimax fit of 2^r, |r| <= ½.
static inline float exp2_f32(float x) {
  const float shifted = x + (12582912.0f + 127.0f);
  const float r = x - (shifted - (12582912.0f + 127.0f));
  float p = 1.5353362e-4f;
  p = __builtin_fmaf(p, r, 1.3398875e-3f);
  p = __builtin_fmaf(p, r, 9.6184369e-3f);
  p = __builtin_fmaf(p, r, 5.5503324e-2f);
  p = __builtin_fmaf(p, r, 2.4022648e-1f);
  p = __builtin_fmaf(p, r, 6.9314718e-1f);
  p = __builtin_fmaf(p, r, 1.0f);
  return x < -126.0f ? 0.0f : p * float_bits(bits_of(shifted) << 23);
}
