// Rows of a table, and the sum of their gradients.
#include "buckets.cuh"

// Slots: 0 out [count, dim], 1 ids [count], 2 weight [vocab, dim], 3 count, 4 vocab, 5 dim.
KERNEL(embedding) {
  const int64_t count = INTEGER(3), vocab = INTEGER(4), dim = INTEGER(5);
  for_each_row(count, dim, [&](auto team, int64_t i) {
    const int64_t id = POINTER(const int32_t, 1)[i];
    if (!index_fits(context, id, i, vocab)) return;
    const real *from = POINTER(const real, 2) + id * dim;
    real *to = POINTER(real, 0) + i * dim;
    const bool wide = is_aligned(from) && is_aligned(to);
    FOR_TEAM_VECTORS(j, dim) {
      arith values[VECTOR];
      load_vector(from, j, dim, wide, values);
      store_vector(to, j, dim, wide, values);
    }
  });
}

// out[ids[i]] += g[i] for all i in order.
// Slots: 0 out [vocab, dim] f32, 1 ids [count], 2 g [count, dim], 3 count, 4 vocab, 5 dim, 6 add to what `out` holds.
// Scratch: as buckets.cuh has it.
#define BUCKETS buckets_in(context.scratch, INTEGER(4), INTEGER(3))
KERNEL(embedding_clear) { bucket_clear(BUCKETS, INTEGER(4)); }
KERNEL(embedding_count) { bucket_count(context, BUCKETS, POINTER(const int32_t, 1), INTEGER(3), INTEGER(4)); }
KERNEL(embedding_begin) { bucket_begin(BUCKETS, INTEGER(4)); }
KERNEL(embedding_place) { bucket_place(BUCKETS, POINTER(const int32_t, 1), INTEGER(3), INTEGER(4)); }
KERNEL(embedding_order) { bucket_order(BUCKETS); }

// One block for each row of the table and each stripe of columns.
KERNEL(embedding_backward) {
  const Buckets b = BUCKETS;
  const int64_t row = blockIdx.x, dim = INTEGER(5), first = b.starts[row], last = b.starts[row + 1];
  if (first == last && INTEGER(6)) return;
  const int64_t column = (int64_t)blockIdx.y * THREADS + threadIdx.x;
  if (column >= dim) return;
  float *to = POINTER(float, 0) + row * dim + column;
  float sum = INTEGER(6) ? *to : 0.0f;
  for (int64_t i = first; i < last; i++) sum += load(POINTER(const real, 2) + (int64_t)b.ordered[i] * dim + column);
  *to = sum;
}
