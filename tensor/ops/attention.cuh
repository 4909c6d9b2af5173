// What attention forward and backward share: the operands, which keys a query sees, and where sequences lie; as
// attention.h.
//
// All queries of the heads that share one kv head are the rows of one matrix, query after query and head after head:
// row r of a sequence is query r / group of head kvHead·group + r % group.

#define LOG2E 1.44269504088896341f
#define LN2 0.693147180559945309f

// One [tokens, heads, headDim] operand; the last axis is contiguous. Strides count elements.
struct Operand {
  const real *data;
  int64_t token, head;
};

struct Attention {
  Operand q, k, v;
  const int32_t *queryOffsets, *keyStarts, *keyLengths;
  // Keys of a sequence in blocks of so many tokens: keyStarts is then [sequences, blocks], the numbers of the blocks of
  // each. Otherwise 0, and they are one run.
  int64_t blockTokens, blocks;
  int64_t sequences, heads, kvHeads, group, headDim, window, queryTokens, keyTokens;
  bool causal;
  float scale;
};

// The argument slots, from the first one after the tensors.
__device__ inline Attention attention_of(const Slots &args, int first) {
  Attention a;
  a.queryOffsets = POINTER(const int32_t, first);
  a.keyStarts = POINTER(const int32_t, first + 1);
  a.keyLengths = POINTER(const int32_t, first + 2);
  a.sequences = INTEGER(first + 3), a.heads = INTEGER(first + 4), a.kvHeads = INTEGER(first + 5);
  a.headDim = INTEGER(first + 6), a.group = a.heads / a.kvHeads;
  a.q = {POINTER(const real, 0), INTEGER(first + 7), INTEGER(first + 8)};
  a.k = {POINTER(const real, 1), INTEGER(first + 9), INTEGER(first + 10)};
  a.v = {POINTER(const real, 2), INTEGER(first + 11), INTEGER(first + 12)};
  a.causal = INTEGER(first + 13), a.window = INTEGER(first + 14), a.scale = FLOAT(first + 15);
  a.queryTokens = INTEGER(first + 16), a.keyTokens = INTEGER(first + 17);
  a.blockTokens = INTEGER(first + 18), a.blocks = INTEGER(first + 19);
  const int64_t unlimited = (int64_t)1 << 40; // beyond any distance between a query and a key
  if (a.window <= 0 || a.window > unlimited) a.window = unlimited;
  return a;
}

// One sequence under one kv head.
struct Stretch {
  int64_t sequence, kvHead, firstQuery, queries, firstKey, keys;
};

__device__ inline Stretch stretch_of(const Attention &a, int64_t sequence, int64_t kvHead) {
  const int64_t first = a.queryOffsets[sequence];
  return {sequence, kvHead, first, a.queryOffsets[sequence + 1] - first, a.blockTokens ? 0 : a.keyStarts[sequence],
          a.keyLengths[sequence]};
}

// Whether the sequence lies among the tokens. What does not is reported, and must not be followed.
__device__ inline bool stretch_fits(const Context &context, const Attention &a, const Stretch &s) {
  if (!index_fits(context, s.firstQuery, s.sequence, a.queryTokens + 1)) return false;
  if (!index_fits(context, s.firstQuery + s.queries, s.sequence, a.queryTokens + 1) || s.queries < 0) return false;
  if (!a.blockTokens)
    return index_fits(context, s.firstKey, s.sequence, a.keyTokens + 1) &&
           index_fits(context, s.firstKey + s.keys, s.sequence, a.keyTokens + 1) && s.keys >= 0;
  if (!index_fits(context, s.keys, s.sequence, a.blocks * a.blockTokens + 1)) return false;
  bool fits = true;
  for (int64_t b = threadIdx.x; b * a.blockTokens < s.keys; b += blockDim.x)
    fits = index_fits(context, a.keyStarts[s.sequence * a.blocks + b], s.sequence, a.keyTokens / a.blockTokens) && fits;
  return !__syncthreads_or(!fits);
}

// Where a key of the stretch lies among the tokens of k and v.
__device__ inline int64_t key_token(const Attention &a, const Stretch &s, int64_t key) {
  if (!a.blockTokens) return s.firstKey + key;
  return a.keyStarts[s.sequence * a.blocks + key / a.blockTokens] * a.blockTokens + key % a.blockTokens;
}
__device__ inline const real *key_row(const Attention &a, const Stretch &s, const Operand &x, int64_t key) {
  return x.data + key_token(a, s, key) * x.token + s.kvHead * x.head;
}

// Where a row lies in what is contiguous [query tokens, heads].
__device__ inline int64_t query_index(const Attention &a, const Stretch &s, int64_t row) {
  return (s.firstQuery + row / a.group) * a.heads + s.kvHead * a.group + row % a.group;
}
__device__ inline const real *query_row(const Attention &a, const Stretch &s, int64_t row) {
  return a.q.data + (s.firstQuery + row / a.group) * a.q.token + (s.kvHead * a.group + row % a.group) * a.q.head;
}

// Keys [from, to).
struct Range {
  int64_t from, to;
};

// The keys a row sees; both ends grow with the row.
__device__ inline Range visible_keys(const Attention &a, const Stretch &s, int64_t row) {
  const int64_t position = s.keys - s.queries + row / a.group;
  const int64_t to = at_least(0, at_most(s.keys, a.causal ? position + 1 : position + a.window));
  return {at_most(to, at_least(0, position - a.window + 1)), to};
}

// Decoding has few rows, too few to keep a device busy: so the keys of a sequence with few rows are cut into parts of
// SPLIT_KEYS, each with a block of its own along z, and attention_combine puts them together in order (Dao et al.,
// "Flash-Decoding", 2023). How a sequence is cut depends on its own length alone. As attention_launch.ts has it.
enum { SPLIT_ROWS = 16, SPLIT_KEYS = 256 };

__device__ inline bool is_split(const Attention &a, const Stretch &s) {
  return a.blockTokens && s.queries * a.group <= SPLIT_ROWS && s.keys > SPLIT_KEYS;
}

// The keys that this block has of a stretch; none where there is nothing for it to do.
__device__ inline Range keys_of_block(const Attention &a, const Stretch &s) {
  const int64_t part = blockIdx.z;
  if (!is_split(a, s)) return {0, part == 0 ? at_least(1, s.keys) : 0}; // rows without keys are written, too
  return {part * SPLIT_KEYS, at_most(s.keys, (part + 1) * SPLIT_KEYS)};
}

// Those of them that a row sees.
__device__ inline Range visible_keys_in(const Range &block, const Attention &a, const Stretch &s, int64_t row) {
  const Range keys = visible_keys(a, s, row);
  const int64_t from = at_least(keys.from, block.from);
  return {from, at_least(from, at_most(keys.to, block.to))};
}

// What a part leaves of a row: the unnormalised output, then the maximum and the sum.
__device__ inline float *part_of_row(const Context &context, const Attention &a, const Stretch &s, int64_t row,
                                     int64_t part) {
  const int64_t parts = (a.blocks * a.blockTokens + SPLIT_KEYS - 1) / SPLIT_KEYS;
  const bool by_query = a.queryTokens * a.group <= a.sequences * SPLIT_ROWS; // whichever takes less memory
  const int64_t slot = (by_query ? s.firstQuery * a.group : s.sequence * SPLIT_ROWS) + row;
  return (float *)context.scratch + ((slot * a.kvHeads + s.kvHead) * parts + part) * (a.headDim + 2);
}

// Blocks of `size` rows are numbered so that sequence s begins at ⌊rows before it / size⌋ + s: room enough for all its
// blocks, without a table; a number at the end of a sequence may be left empty. The same for blocks of keys.
__device__ inline int64_t first_block(int64_t before, int64_t size, int64_t sequence) {
  return before / size + sequence;
}

// The sequence of a block, for what lies before sequence s being starts[s]·each.
__device__ inline int64_t sequence_of_block(const int32_t *starts, int64_t each, int64_t size, int64_t sequences,
                                            int64_t block) {
  int64_t low = 0, high = sequences;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (first_block(starts[middle] * each, size, middle) <= block) low = middle;
    else high = middle;
  }
  return low;
}

// The sequence and the first row of the block of `size` rows that this block of threads has.
struct RowBlock {
  Stretch stretch;
  int64_t start, rows;
};
__device__ inline RowBlock row_block(const Attention &a, int64_t size) {
  const int64_t block = blockIdx.x;
  const int64_t sequence = sequence_of_block(a.queryOffsets, a.group, size, a.sequences, block);
  const Stretch s = stretch_of(a, sequence, blockIdx.y);
  const int64_t start = (block - first_block(s.firstQuery * a.group, size, sequence)) * size;
  return {s, start, at_most(size, s.queries * a.group - start)};
}
