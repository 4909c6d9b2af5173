// Sums over one row.
#pragma once
#include "kernel.h"

// `total` becomes the sum of `term`, an expression of the index `i`, over 0 <= i < n. The order of the sum is fixed by n
// alone: LANES interleaved partial sums, then those from the first to the last.
#define SUM_OVER_ROW(total, n, term)                                                                                  \
  {                                                                                                                   \
    vf partial = {0};                                                                                                 \
    int64_t start = 0;                                                                                                \
    for (; start + LANES <= (n); start += LANES)                                                                      \
      for (int lane = 0; lane < LANES; lane++) {                                                                      \
        const int64_t i = start + lane;                                                                               \
        partial[lane] += (term);                                                                                      \
      }                                                                                                               \
    for (int lane = 0; start + lane < (n); lane++) {                                                                  \
      const int64_t i = start + lane;                                                                                 \
      partial[lane] += (term);                                                                                        \
    }                                                                                                                 \
    (total) = 0;                                                                                                      \
    for (int lane = 0; lane < LANES; lane++) (total) += partial[lane];                                                \
  }
