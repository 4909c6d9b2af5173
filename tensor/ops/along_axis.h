// Kernels that work along the middle axis of [outer, n, inner]. Where inner is 1 they take row after row; else columns,
// WIDTH at a time, so that each step of a column is a vector of neighbours. What is done to one row or column depends
// on its own numbers alone.
#pragma once
#include "kernel.h"

enum { WIDTH = 128 };

static inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// Expects `outer`, `n` and `inner`. ROW sees `first`, the place of its first element, and `result`, its place where the
// axis is dropped. COLUMNS sees the same of the first of `columns` columns. Not everyone needs both.
#define ALONG_AXIS(ROW, COLUMNS)                                                                                      \
  if (inner == 1) {                                                                                                   \
    _Pragma("omp parallel for if (outer * n > PARALLEL_WORK)") for (int64_t result = 0; result < outer; result++) {   \
      const int64_t first = result * n;                                                                               \
      (void)result;                                                                                                   \
      ROW;                                                                                                            \
    }                                                                                                                 \
  } else {                                                                                                            \
    const int64_t stripes = (inner + WIDTH - 1) / WIDTH;                                                              \
    _Pragma("omp parallel for if (outer * n * inner > PARALLEL_WORK)") for (int64_t part = 0; part < outer * stripes; \
                                                                            part++) {                                 \
      const int64_t start = part % stripes * WIDTH, columns = at_most(WIDTH, inner - start);                          \
      const int64_t first = part / stripes * n * inner + start, result = part / stripes * inner + start;              \
      (void)result;                                                                                                   \
      COLUMNS;                                                                                                        \
    }                                                                                                                 \
  }
