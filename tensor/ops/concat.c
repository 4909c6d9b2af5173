// Inputs one after another along the middle axis of [outer, n, inner], for elements of any type: it moves bytes.
// Slots: 0 out, 1 outer, 2 bytes of a row of the output, 3 number of inputs, then for each input its address, and the
// bytes of its rows.
#include "kernel.h"

#if defined(REAL_F32)

KERNEL(concat) {
  char *out = POINTER(char, 0);
  const int64_t outer = INTEGER(1), row = INTEGER(2), count = INTEGER(3);
#pragma omp parallel for if (outer * row > 4 * PARALLEL_WORK)
  for (int64_t i = 0; i < outer; i++) {
    char *to = out + i * row;
    for (int64_t k = 0; k < count; k++) {
      const int64_t bytes = INTEGER(5 + 2 * k);
      if (bytes > 0) memcpy(to, POINTER(const char, 4 + 2 * k) + i * bytes, (size_t)bytes);
      to += bytes;
    }
  }
  return OK;
}

#endif
