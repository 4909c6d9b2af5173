// C = A·B for batches of matrices of any shape and any strides, the way of Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication" (2008).
//
// A product of m·n·k multiply-adds touches only m·k + k·n + m·n numbers, so a processor can run it at the speed of its
// multipliers, provided that each number that was brought close is used many times before it leaves:
//
//   registers     a tile of C, MR x NR                        (gemm_vector.h; 32 x 32 on AMX, gemm_tile.h)
//   first cache   a panel of A, MR x KC, used by all of the block of B
//   second cache  a block of B, KC x NC, used by all rows of A
//
// Both are copied ("packed") into the order in which they are read, which also makes any transposition a matter of
// the copy. Every thread computes a rectangle of C from start to finish with its own buffers: there is nothing to wait for.
//
// What a number of C is: k is cut into equal blocks of at most KC (block_depth). Inside a block the products are added
// one after the other in the order of k, starting from zero; then the sums of the blocks are added, in order, to C.
// Every path follows this, so C[i][j] has the same bits whatever m, n, the batch and the number of threads are.
#include "gemm_vector.h"

// Columns of B per block: KC x NC words are 1.1 MiB, a little more than half of a common second-level cache.
#define NC 768
// Rows per pass. It bounds the partial sums of a C that is kept in bf16 and needs several blocks of k.
#define MC 1024
// Multiply-adds that are worth waking a second thread for.
#define PARALLEL_PRODUCTS (256 * 1024)

typedef struct {
  int64_t m, n, k;
  View a, b;
  void *c;
  int64_t c_row;
  int accumulate, wide; // wide: C is f32, whatever `real` is
} Product;

typedef struct {
  word *a, *b;
  float *tile, *partial;
} Buffers;

static int64_t block_depth(int64_t k) {
  const int64_t blocks = (k + KC - 1) / KC;
  return blocks <= 1 ? k : round_up((k + blocks - 1) / blocks, 32);
}

// Each thread keeps its buffers for its next call.
static Buffers *thread_buffers(void) {
  static _Thread_local Buffers buffers;
  if (buffers.a) return &buffers;
  const int64_t a = MR * A_ROW > KC * A_COLUMN ? MR * A_ROW : KC * A_COLUMN;
  const int64_t b = NC * KC / K_PER_WORD, tile = MR * NR, partial = sizeof(real) == 2 ? MC * NC : 0;
  word *memory = aligned_alloc(4096, (size_t)round_up((a + b + tile + partial) * 4, 4096));
  if (!memory) return NULL;
  buffers = (Buffers){memory, memory + round_up(a, LANES), NULL, NULL};
  buffers.tile = (float *)(buffers.b + b);
  buffers.partial = buffers.tile + tile;
  return &buffers;
}

static inline float *wide_at(const Product *p, int64_t i, int64_t j) { return (float *)p->c + i * p->c_row + j; }

// C[i..][j..] = tile, or += tile.
static void write_tile(const Product *p, const float *tile, int64_t tile_row, int64_t i, int64_t j, int64_t rows,
                       int64_t columns, int add) {
  for (int64_t r = 0; r < rows; r++) {
    const float *from = tile + r * tile_row;
    if (p->wide) {
      float *to = wide_at(p, i + r, j);
      for (int64_t s = 0; s < columns; s++) to[s] = add ? to[s] + from[s] : from[s];
    } else {
      real *to = (real *)p->c + (i + r) * p->c_row + j;
      for (int64_t s = 0; s < columns; s++) store(to + s, add ? load(to + s) + from[s] : from[s]);
    }
  }
}

// C = 0 or C = C: the product of nothing.
static void multiply_nothing(const Product *p) {
  if (p->accumulate) return;
  for (int64_t i = 0; i < p->m; i++)
    memset((char *)p->c + i * p->c_row * (p->wide ? 4 : (int64_t)sizeof(real)), 0,
           (size_t)p->n * (p->wide ? 4 : sizeof(real)));
}

// One block of k for all of p's rows and at most NC columns.
static void multiply_block(const Product *p, int64_t k, int64_t depth, int add, Buffers *buffers) {
  const int64_t words = (depth + K_PER_WORD - 1) / K_PER_WORD;
  const int64_t panels = (p->m + MR - 1) / MR;
  const View a = view_at(p->a, 0, k), b = view_at(p->b, 0, k);
  const int streaming = panels == 1 && b.inner == 1;
  const int by_rows = a.inner == 1 || streaming;
  if (!streaming)
    for (int64_t j = 0; j < p->n; j += NR)
      pack_columns(view_at(b, j, 0), smaller(NR, p->n - j), depth, words, NR, buffers->b + j * words);
  for (int64_t panel = 0; panel < panels; panel++) {
    const int64_t i = p->m * panel / panels, rows = p->m * (panel + 1) / panels - i;
    if (by_rows)
      pack_rows(view_at(a, i, 0), rows, depth, words, A_ROW, buffers->a);
    else
      pack_columns(view_at(a, i, 0), smaller(p->m - i, A_COLUMN), depth, words, A_COLUMN, buffers->a);
    const int64_t width = streaming ? LANES : NR;
    for (int64_t j = 0; j < p->n; j += width) {
      const int64_t columns = smaller(width, p->n - j);
      const int direct = columns == width && p->wide;
      float *c = direct ? wide_at(p, i, j) : buffers->tile;
      const int64_t c_row = direct ? p->c_row : NR;
      const int add_here = direct && add;
      if (streaming)
        stream(rows, words, depth, buffers->a, view_at(b, j, 0), columns, c, c_row, add_here);
      else if (by_rows)
        tile_of_rows(rows, words, buffers->a, buffers->b + j * words, c, c_row, add_here);
      else
        tile_of_columns(rows, words, buffers->a, buffers->b + j * words, c, c_row, add_here);
      if (!direct) write_tile(p, buffers->tile, NR, i, j, rows, columns, add);
    }
  }
}

// At most MC rows and NC columns. A bf16 C that needs several blocks of k is summed in f32 first.
static void multiply_pass(const Product *p, Buffers *buffers) {
  const int64_t step = block_depth(p->k);
  Product sum = *p;
  const int in_partial = !p->wide && step < p->k;
  if (in_partial) {
    sum.c = buffers->partial, sum.c_row = p->n, sum.wide = 1;
    if (p->accumulate)
      for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) *wide_at(&sum, i, j) = load((const real *)p->c + i * p->c_row + j);
  }
  for (int64_t k = 0; k < p->k; k += step)
    multiply_block(&sum, k, smaller(step, p->k - k), p->accumulate || k > 0, buffers);
  if (in_partial) write_tile(p, buffers->partial, p->n, 0, 0, p->m, p->n, 0);
}

static Product part_of(const Product *p, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  Product part = *p;
  part.m = rows, part.n = columns;
  part.a = view_at(p->a, i, 0), part.b = view_at(p->b, j, 0);
  part.c = (char *)p->c + (i * p->c_row + j) * (p->wide ? 4 : (int64_t)sizeof(real));
  return part;
}

static int32_t multiply(const Product *p) {
  if (p->m <= 0 || p->n <= 0) return OK;
  if (p->k <= 0) return multiply_nothing(p), OK;
  Buffers *buffers = thread_buffers();
  if (!buffers) return OUT_OF_MEMORY;
  for (int64_t i = 0; i < p->m; i += MC)
    for (int64_t j = 0; j < p->n; j += NC) {
      const Product pass = part_of(p, i, smaller(MC, p->m - i), j, smaller(NC, p->n - j));
      multiply_pass(&pass, buffers);
    }
  return OK;
}

// Cuts C into a grid of `pieces` rectangles, so that the sum of packing (proportional to the sides) and products
// (proportional to the area) of one rectangle is least. Returns the number of rows of the grid.
static int64_t grid_rows(int64_t m, int64_t n, int64_t pieces) {
  const double pack_cost = 16; // packing a number costs about as much as this many multiply-adds
  int64_t best = 1;
  double least = INFINITY;
  for (int64_t rows = 1; rows <= pieces; rows++) {
    if (pieces % rows) continue;
    const double height = (double)((m + rows - 1) / rows);
    const double width = (double)round_up((n + pieces / rows - 1) / (pieces / rows), NR);
    const double cost = height * width + pack_cost * (height + width);
    if (cost < least) least = cost, best = rows;
  }
  return best;
}

static int32_t multiply_batch(const uint64_t *args, int wide) {
  const int64_t batch = INTEGER(3), m = INTEGER(4), n = INTEGER(5), k = INTEGER(6);
  if (batch <= 0 || m <= 0 || n <= 0) return OK;
  const int64_t threads = (double)batch * m * n * (k > 0 ? k : 1) < PARALLEL_PRODUCTS ? 1 : omp_get_max_threads();
  const int64_t pieces = batch % threads == 0 || batch >= 8 * threads ? 1 : threads;
  const int64_t down = grid_rows(m, n, pieces), across = pieces / down;
  const int64_t c_size = wide ? 4 : sizeof(real);
  const int64_t column_units = (n + NR - 1) / NR;
  int32_t status = OK;
#pragma omp parallel for if (threads > 1) num_threads(threads) reduction(max : status) schedule(static)
  for (int64_t task = 0; task < batch * pieces; task++) {
    const int64_t b = task / pieces, y = task % pieces / across, x = task % across;
    const Product whole = {m, n, k,
                           {POINTER(const real, 0) + b * INTEGER(7), INTEGER(8), INTEGER(9)},
                           {POINTER(const real, 1) + b * INTEGER(10), INTEGER(12), INTEGER(11)},
                           POINTER(char, 2) + b * INTEGER(13) * c_size, INTEGER(14), INTEGER(15) != 0, wide};
    const int64_t i = m * y / down, j = column_units * x / across * NR;
    const int64_t rows = m * (y + 1) / down - i, columns = smaller(n, column_units * (x + 1) / across * NR) - j;
    const Product part = part_of(&whole, i, rows, j, columns);
    const int32_t result = multiply(&part);
    if (result > status) status = result;
  }
  return status;
}

KERNEL(matmul) { return multiply_batch(args, sizeof(real) == 4); }
KERNEL(matmul_wide) { return multiply_batch(args, 1); }
