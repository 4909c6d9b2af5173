// Tensors of random numbers, and dropout. Element i is a function of the key and of offset + i alone; as random.c.

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): block `counter` of a key, which
// is its words 4·counter to 4·counter + 3.
__device__ inline void random_words(uint32_t key0, uint32_t key1, uint64_t counter, uint32_t words[4]) {
  uint32_t a = (uint32_t)counter, b = (uint32_t)(counter >> 32), c = 0, d = 0;
  for (int round = 0; round < 10; round++) {
    const uint32_t high = __umulhi(0xd2511f53u, a), low = 0xd2511f53u * a;
    const uint32_t other = __umulhi(0xcd9e8d57u, c), other_low = 0xcd9e8d57u * c;
    a = other ^ b ^ key0, b = other_low, c = high ^ d ^ key1, d = low;
    key0 += 0x9e3779b9u, key1 += 0xbb67ae85u;
  }
  words[0] = a, words[1] = b, words[2] = c, words[3] = d;
}

// Calls use(words, at) for each block of four that holds words [offset, offset + n); `at` is the place of word 0
// counted from the offset, and may lie outside.
template <class Use>
__device__ inline void for_each_words(uint32_t key0, uint32_t key1, int64_t offset, int64_t n, Use use) {
  const int64_t first = offset / 4, count = (offset + n + 3) / 4 - first;
  FOR_GRID(i, count) {
    uint32_t words[4];
    random_words(key0, key1, (uint64_t)(first + i), words);
    use(words, (first + i) * 4 - offset);
  }
}

// Stores those of four values that lie within the n elements.
__device__ inline void store_four(real *out, int64_t at, int64_t n, const float values[4]) {
  for (int j = 0; j < 4; j++)
    if (at + j >= 0 && at + j < n) store(out + at + j, values[j]);
}

// Slots: 0 out, 1 n, 2 and 3 key, 4 offset.
KERNEL(uniform) {
  // As many bits as the type holds, so that a number never rounds up to 1.
  const int bits = sizeof(real) == 2 ? 8 : 24;
  const int64_t n = INTEGER(1);
  for_each_words((uint32_t)INTEGER(2), (uint32_t)INTEGER(3), INTEGER(4), n, [&](const uint32_t words[4], int64_t at) {
    float values[4];
    for (int j = 0; j < 4; j++) values[j] = (float)(words[j] >> (32 - bits)) * (1.0f / (1 << bits));
    store_four(POINTER(real, 0), at, n, values);
  });
}

// Two normal numbers from two words: radius √(-2 ln u), u in (0, 1], and an angle (Box & Muller, 1958).
__device__ inline void box_muller(uint32_t first, uint32_t second, float normals[2]) {
  const float u = (float)first * 2.3283064365e-10f + 1.1641532183e-10f; // (first + ½) / 2^32
  const float radius = sqrtf(-2.0f * logf(u));
  const uint32_t quarter = (second + 0x20000000u) >> 30;
  const float x = (float)(int32_t)(second - (quarter << 30)) * (1.57079632679489662f / (1 << 30));
  const float s = sinf(x), c = cosf(x);
  const float cosine = quarter & 1 ? s : c, sine = quarter & 1 ? c : s;
  normals[0] = radius * ((quarter + 1) & 2 ? -cosine : cosine);
  normals[1] = radius * (quarter & 2 ? -sine : sine);
}

// Slots: 0 out, 1 n, 2 and 3 key, 4 offset, 5 mean, 6 standard deviation.
KERNEL(normal) {
  const int64_t n = INTEGER(1);
  for_each_words((uint32_t)INTEGER(2), (uint32_t)INTEGER(3), INTEGER(4), n, [&](const uint32_t words[4], int64_t at) {
    float values[4];
    box_muller(words[0], words[1], values);
    box_muller(words[2], words[3], values + 2);
    for (int j = 0; j < 4; j++) values[j] = FLOAT(5) + FLOAT(6) * values[j];
    store_four(POINTER(real, 0), at, n, values);
  });
}

// Slots: 0 out, 1 x, 2 n, 3 and 4 key, 5 offset, 6 smallest word that is kept, 7 scale.
KERNEL(dropout) {
  const int64_t n = INTEGER(2);
  const uint32_t threshold = (uint32_t)INTEGER(6);
  for_each_words((uint32_t)INTEGER(3), (uint32_t)INTEGER(4), INTEGER(5), n, [&](const uint32_t words[4], int64_t at) {
    for (int j = 0; j < 4; j++) {
      const int64_t i = at + j;
      if (i < 0 || i >= n) continue;
      store(POINTER(real, 0) + i, words[j] >= threshold ? load(POINTER(const real, 1) + i) * FLOAT(7) : 0.0f);
    }
  });
}
