// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): random words as a function of a
// key and a counter. Word i of a key is word i % 4 of block i / 4.
#pragma once
#include "kernel.h"

// Words are made CHUNK at a time, LANES blocks side by side.
enum { CHUNK = 4 * LANES };

// words = those of the key from CHUNK·chunk on.
static inline void random_words(uint32_t key0, uint32_t key1, uint64_t chunk, uint32_t words[CHUNK]) {
  uint32_t a[LANES], b[LANES], c[LANES], d[LANES];
  for (int l = 0; l < LANES; l++) {
    const uint64_t block = chunk * LANES + (uint64_t)l;
    a[l] = (uint32_t)block;
    b[l] = (uint32_t)(block >> 32);
    c[l] = d[l] = 0;
  }
  for (int round = 0; round < 10; round++) {
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
      const uint32_t high = (uint32_t)(((uint64_t)0xd2511f53u * a[l]) >> 32), low = 0xd2511f53u * a[l];
      const uint32_t other = (uint32_t)(((uint64_t)0xcd9e8d57u * c[l]) >> 32), otherLow = 0xcd9e8d57u * c[l];
      a[l] = other ^ b[l] ^ key0;
      b[l] = otherLow;
      c[l] = high ^ d[l] ^ key1;
      d[l] = low;
    }
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  for (int l = 0; l < LANES; l++) {
    words[4 * l] = a[l];
    words[4 * l + 1] = b[l];
    words[4 * l + 2] = c[l];
    words[4 * l + 3] = d[l];
  }
}

// Runs BODY for each chunk that holds words [offset, offset + n). It sees the chunk's `words`, of which those from
// `from` to before `to` count, and `at`, the place of word 0 counted from the offset.
#define FOR_EACH_CHUNK(key0, key1, offset, n, BODY)                                                                   \
  {                                                                                                                   \
    const int64_t firstChunk = (offset) / CHUNK, lastChunk = ((offset) + (n) + CHUNK - 1) / CHUNK;                    \
    _Pragma("omp parallel for if ((n) * 8 > PARALLEL_WORK)") for (int64_t chunk = firstChunk; chunk < lastChunk;      \
                                                                  chunk++) {                                          \
      uint32_t words[CHUNK];                                                                                          \
      random_words(key0, key1, (uint64_t)chunk, words);                                                               \
      const int64_t at = chunk * CHUNK - (offset);                                                                    \
      const int64_t from = at < 0 ? -at : 0, to = at + CHUNK > (n) ? (n)-at : CHUNK;                                  \
      BODY                                                                                                            \
    }                                                                                                                 \
  }
