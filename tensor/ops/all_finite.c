// Whether no element is an infinity or NaN.
// Slots: 0 out (u8), 1 x, 2 n.
#include "along_axis.h"

// An element is finite unless all bits of its exponent are set.
#if defined(REAL_BF16)
#define EXPONENT 0x7f80
typedef uint16_t bits_type;
#else
#define EXPONENT 0x7f800000u
typedef uint32_t bits_type;
#endif

static int all_finite(const bits_type *x, int64_t n) {
  bits_type bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t i = 0; i < n; i++) bad |= (bits_type)((x[i] & EXPONENT) == EXPONENT);
  return !bad;
}

KERNEL(all_finite) {
  enum { BLOCK = 16384 };
  const bits_type *x = POINTER(const bits_type, 1);
  const int64_t n = INTEGER(2);
  int finite = 1;
#pragma omp parallel for reduction(&& : finite) if (n > PARALLEL_WORK)
  for (int64_t start = 0; start < n; start += BLOCK)
    finite = finite && all_finite(x + start, at_most(BLOCK, n - start));
  *POINTER(uint8_t, 0) = (uint8_t)finite;
  return OK;
}
