// Rows of a table, and the sum of their gradients.
#include "along_axis.h"
#include "indices.h"

// Slots: 0 out [count, dim], 1 ids [count], 2 weight [vocab, dim], 3 count, 4 vocab, 5 dim.
KERNEL(embedding) {
  real *out = POINTER(real, 0);
  const int32_t *ids = POINTER(const int32_t, 1);
  const real *weight = POINTER(const real, 2);
  const int64_t count = INTEGER(3), vocab = INTEGER(4), dim = INTEGER(5);
  if (!indices_fit(ids, count, vocab)) return INDEX_OUT_OF_RANGE;
#pragma omp parallel for if (count * dim > PARALLEL_WORK)
  for (int64_t i = 0; i < count; i++)
    memcpy(out + i * dim, weight + ids[i] * dim, (size_t)dim * sizeof(real));
  return OK;
}

// out[ids[i]] += g[i] for all i in order. Threads share the columns, so that no two add to the same place.
// Slots: 0 out [vocab, dim] f32, 1 ids [count], 2 g [count, dim], 3 count, 4 vocab, 5 dim, 6 add to what `out` holds.
KERNEL(embedding_backward) {
  float *out = POINTER(float, 0);
  const int32_t *ids = POINTER(const int32_t, 1);
  const real *g = POINTER(const real, 2);
  const int64_t count = INTEGER(3), vocab = INTEGER(4), dim = INTEGER(5), add = INTEGER(6);
  if (!indices_fit(ids, count, vocab)) return INDEX_OUT_OF_RANGE;
  const int64_t line = 16; // floats; threads do not write to the same line of the cache
  const int64_t lines = (dim + line - 1) / line;
  const int64_t stripes = count * dim > PARALLEL_WORK ? at_most(omp_get_max_threads(), lines) : 1;
#pragma omp parallel for if (stripes > 1) num_threads(stripes) schedule(static, 1)
  for (int64_t stripe = 0; stripe < stripes; stripe++) {
    const int64_t start = lines * stripe / stripes * line, end = at_most(dim, lines * (stripe + 1) / stripes * line);
    if (!add)
      for (int64_t row = 0; row < vocab; row++)
        memset(out + row * dim + start, 0, (size_t)(end - start) * sizeof(float));
    for (int64_t i = 0; i < count; i++) {
      float *to = out + ids[i] * dim;
      const real *from = g + i * dim;
#pragma omp simd
      for (int64_t j = start; j < end; j++) to[j] += load(from + j);
    }
  }
  return OK;
}
