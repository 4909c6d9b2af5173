// The largest or smallest element along the middle axis of [outer, n, inner], where it is, and its gradient. NaN counts
// as more extreme than any number. Also for REAL_I32.

// A value as a number that is larger for what is more extreme; equal values have equal ranks.
__device__ inline uint32_t rank_of(arith value, bool smallest) {
#if defined(REAL_I32)
  const uint32_t rank = (uint32_t)value ^ 0x80000000u;
  return smallest ? ~rank : rank;
#else
  if (value != value) return 0xffffffffu;
  const uint32_t bits = __float_as_uint(value + 0.0f); // -0 becomes 0
  const uint32_t rank = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return smallest ? ~rank : rank;
#endif
}

struct LargestKey {
  __device__ static uint64_t of(uint64_t a, uint64_t b) { return a > b ? a : b; }
};

// The first index of the extremum of n > 0 numbers. A key holds the rank, and the index so that lower ones are larger.
template <class Team>
__device__ inline int64_t extremum_at(Team team, const real *x, int64_t n, int64_t step, bool smallest) {
  uint64_t best = 0;
  FOR_TEAM(i, n)
    best = LargestKey::of(best, (uint64_t)rank_of(load(x + i * step), smallest) << 32 | (0xffffffffu - (uint32_t)i));
  best = team.template reduce<LargestKey>(best);
  return (int64_t)(0xffffffffu - (uint32_t)best);
}

// Slots: 0 out, 1 x, 2 outer, 3 n, 4 inner.
__device__ inline void extremum(const Slots &args, bool smallest) {
  const int64_t n = INTEGER(3);
  along_axis(INTEGER(2), n, INTEGER(4), [&](auto team, int64_t first, int64_t step, int64_t result) {
    const real *x = POINTER(const real, 1) + first;
    const int64_t at = extremum_at(team, x, n, step, smallest);
    if (team.rank() == 0) POINTER(real, 0)[result] = x[at * step];
  });
}

KERNEL(max) { extremum(args, false); }
KERNEL(min) { extremum(args, true); }

KERNEL(argmax) {
  const int64_t n = INTEGER(3);
  along_axis(INTEGER(2), n, INTEGER(4), [&](auto team, int64_t first, int64_t step, int64_t result) {
    const int64_t at = extremum_at(team, POINTER(const real, 1) + first, n, step, false);
    if (team.rank() == 0) POINTER(int32_t, 0)[result] = (int32_t)at;
  });
}

#if !defined(REAL_I32)

// The gradient g of an extremum y goes to the elements of x that equal it, in equal shares.
// Slots: 0 out, 1 x, 2 y, 3 g, 4 outer, 5 n, 6 inner.
KERNEL(extremum_backward) {
  const int64_t n = INTEGER(5);
  along_axis(INTEGER(4), n, INTEGER(6), [&](auto team, int64_t first, int64_t step, int64_t result) {
    const real *x = POINTER(const real, 1) + first;
    const float y = load(POINTER(const real, 2) + result);
    int equals = 0;
    FOR_TEAM(i, n) equals += load(x + i * step) == y;
    equals = team.template reduce<Sum>(equals);
    const float share = load(POINTER(const real, 3) + result) / (float)equals;
    const float rest = equals ? 0.0f : NAN; // y is NaN
    FOR_TEAM(i, n) store(POINTER(real, 0) + first + i * step, load(x + i * step) == y ? share : rest);
  });
}

#endif
