// out[i] = mask[i] ? x[i] : y[i], for elements of any type, moved by their size.
// Slots: 0 out, 1 mask, 2 x, 3 y, 4 bytes per element, 5 rank, then `rank` sizes and strides of mask, x and y. The
// output is contiguous.
#include "along_axis.h"

#if defined(REAL_F32)

// A run along the last axis, with the steps of mask, x and y.
typedef struct {
  int64_t n, step_mask, step_x, step_y;
} run;

#define WHERE_RUN(NAME, T)                                                                                            \
  static void NAME(run r, T *out, const uint8_t *mask, const T *x, const T *y) {                                      \
    if (r.step_mask == 1 && r.step_x == 1 && r.step_y == 1)                                                           \
      for (int64_t i = 0; i < r.n; i++) out[i] = mask[i] ? x[i] : y[i];                                               \
    else if (r.step_mask == 1 && r.step_x == 1 && r.step_y == 0)                                                      \
      for (int64_t i = 0; i < r.n; i++) out[i] = mask[i] ? x[i] : y[0];                                               \
    else if (r.step_mask == 1 && r.step_x == 0 && r.step_y == 1)                                                      \
      for (int64_t i = 0; i < r.n; i++) out[i] = mask[i] ? x[0] : y[i];                                               \
    else                                                                                                              \
      for (int64_t i = 0; i < r.n; i++) out[i] = mask[i * r.step_mask] ? x[i * r.step_x] : y[i * r.step_y];           \
  }
WHERE_RUN(where_1, uint8_t)
WHERE_RUN(where_2, uint16_t)
WHERE_RUN(where_4, uint32_t)
#undef WHERE_RUN

KERNEL(where) {
  enum { PIECE = 16384 };
  const int64_t width = INTEGER(4), rank = INTEGER(5);
  const uint64_t *size = args + 6, *strides = size + rank;
  const int64_t length = (int64_t)size[rank - 1];
  int64_t rows = 1;
  for (int64_t axis = 0; axis < rank - 1; axis++) rows *= (int64_t)size[axis];
  const int64_t pieces = (length + PIECE - 1) / PIECE;
#pragma omp parallel for if (rows * length > PARALLEL_WORK)
  for (int64_t part = 0; part < rows * pieces; part++) {
    const int64_t start = part % pieces * PIECE;
    int64_t at[3], rest = part / pieces;
    const int64_t first = rest * length + start;
    for (int k = 0; k < 3; k++) at[k] = start * (int64_t)strides[k * rank + rank - 1];
    for (int64_t axis = rank - 2; axis >= 0; axis--) {
      const int64_t index = rest % (int64_t)size[axis];
      rest /= (int64_t)size[axis];
      for (int k = 0; k < 3; k++) at[k] += index * (int64_t)strides[k * rank + axis];
    }
    const run r = {at_most(PIECE, length - start), (int64_t)strides[rank - 1], (int64_t)strides[2 * rank - 1],
                   (int64_t)strides[3 * rank - 1]};
    const uint8_t *mask = POINTER(const uint8_t, 1) + at[0];
#define WHERE(NAME, T) NAME(r, POINTER(T, 0) + first, mask, POINTER(const T, 2) + at[1], POINTER(const T, 3) + at[2])
    if (width == 1) WHERE(where_1, uint8_t);
    else if (width == 2) WHERE(where_2, uint16_t);
    else WHERE(where_4, uint32_t);
  }
  return OK;
}

#endif
