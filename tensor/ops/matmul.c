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
// Both are copied ("packed", gemm_pack.h) into the order in which they are read, which also makes any transposition a
// matter of the copy. Every thread computes a rectangle of C from start to finish with buffers of its own: there is
// nothing to share and nothing to wait for. Few rows (a decoding step) are no use of this: each number of B is used but
// once or twice, so B streams from memory past the packing.
//
// The bits of C[i][j] depend on row i of A, column j of B, k and the starting value alone, not on m, n, the batch or
// the number of threads, because every path adds in the same order. k is cut into equal blocks of at most KC
// (block_depth). With vectors, the products of a block are added one after the other starting from zero, then the
// blocks' sums are added in order to C. With tiles, see gemm_tile.h.
#include "gemm_vector.h"
#if K_PER_WORD == 2 && defined(__AMX_BF16__) && defined(__linux__)
#define HAS_TILES
#include "gemm_tile.h"
#endif

// Multiply-adds that are worth waking a second thread for. Few rows cost what reading B costs, about eight rows' worth.
#define PARALLEL_PRODUCTS (512 * 1024)
#define READING_ROWS 8

// Each thread keeps its buffers for its next call.
static Buffers *thread_buffers(void) {
  static _Thread_local Buffers buffers;
  if (buffers.a) return &buffers;
  const int64_t b = NC * KC / K_PER_WORD, sums = sizeof(real) == 2 ? MC * NC : 0;
  const int64_t bytes = round_up((A_WORDS + b + TILE_FLOATS + sums) * 4, 4096);
  word *memory = aligned_alloc(4096, (size_t)bytes);
  if (!memory) return NULL;
  float *tile = (float *)(memory + A_WORDS + b);
  buffers = (Buffers){memory, memory + A_WORDS, tile, tile + TILE_FLOATS};
  return &buffers;
}

// C = 0 or C = C: the product of nothing.
static void multiply_nothing(const Product *p) {
  if (p->accumulate) return;
  for (int64_t i = 0; i < p->m; i++)
    memset((char *)p->c + i * p->c_row * (p->wide ? 4 : (int64_t)sizeof(real)), 0,
           (size_t)p->n * (p->wide ? 4 : sizeof(real)));
}

// One block of k for all of p's rows and at most NC columns.
static void multiply_block(const Product *whole, int64_t k, int64_t depth, int add, Buffers *buffers) {
  Product part = *whole;
  if (part.pairs.data) part.pairs = pairs_at(part.pairs, 0, k);
  const Product *p = &part;
  const View a = view_at(p->a, 0, k), b = p->pairs.data ? p->b : view_at(p->b, 0, k);
#ifdef HAS_TILES
  if (tiles_granted()) {
    const int streaming = p->m <= 64 && b.inner == 1 && !p->pairs.data;
    (streaming ? tile_stream : tile_block)(p, a, b, depth, add, buffers);
    return;
  }
#endif
  vector_block(p, a, b, depth, add, buffers);
}

// At most MC rows and NC columns. A bf16 C that needs several blocks of k is summed in f32 first.
static void multiply_pass(const Product *p, Buffers *buffers) {
  const int64_t step = block_depth(p->k);
  Product sum = *p;
  const int in_sums = !p->wide && step < p->k;
  if (in_sums) {
    sum.c = buffers->sums, sum.c_row = p->n, sum.wide = 1;
    if (p->accumulate) read_tile(p, buffers->sums, p->n, 0, 0, p->m, p->n);
  }
  for (int64_t k = 0; k < p->k; k += step)
    multiply_block(&sum, k, smaller(step, p->k - k), p->accumulate || k > 0, buffers);
  if (in_sums) write_tile(p, buffers->sums, p->n, 0, 0, p->m, p->n, 0);
}

static Product part_of(const Product *p, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  Product part = *p;
  part.m = rows, part.n = columns;
  part.a = view_at(p->a, i, 0);
  if (p->pairs.data) part.pairs = pairs_at(p->pairs, j, 0), part.pairs.following = p->n - j - columns;
  else part.b = view_at(p->b, j, 0);
  part.c = (char *)p->c + (i * p->c_row + j) * (p->wide ? 4 : (int64_t)sizeof(real));
  return part;
}

static int32_t multiply(const Product *p) {
  if (p->m <= 0 || p->n <= 0) return OK;
  if (p->k <= 0) return multiply_nothing(p), OK;
  Buffers *buffers = thread_buffers();
  if (!buffers) return OUT_OF_MEMORY;
#ifdef HAS_TILES
  if (tiles_granted()) configure_tiles();
#endif
  for (int64_t i = 0; i < p->m; i += MC)
    for (int64_t j = 0; j < p->n; j += NC) {
      const Product pass = part_of(p, i, smaller(MC, p->m - i), j, smaller(NC, p->n - j));
      multiply_pass(&pass, buffers);
    }
#ifdef HAS_TILES
  if (tiles_granted()) _tile_release();
#endif
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

// How the products of a batch are cut into tasks: `pieces` rectangles each, `down` by `across`.
typedef struct {
  int wide;
  int64_t pieces, down, across;
} Cut;

static int32_t multiply_task(const uint64_t *args, Cut cut, int64_t task) {
  const int64_t m = INTEGER(4), n = INTEGER(5), k = INTEGER(6), column_units = (n + NR - 1) / NR;
  const int64_t b = task / cut.pieces, y = task % cut.pieces / cut.across, x = task % cut.across;
  const int64_t c_size = cut.wide ? 4 : sizeof(real);
  const Product whole = {m, n, k,
                         {POINTER(const real, 0) + b * INTEGER(7), INTEGER(8), INTEGER(9)},
                         {POINTER(const real, 1) + b * INTEGER(10), INTEGER(12), INTEGER(11)},
                         {NULL, 0, 0},
                         POINTER(char, 2) + b * INTEGER(13) * c_size, INTEGER(14), INTEGER(15) != 0, cut.wide};
  const int64_t i = m * y / cut.down, j = column_units * x / cut.across * NR;
  const int64_t rows = m * (y + 1) / cut.down - i;
  const int64_t columns = smaller(n, column_units * (x + 1) / cut.across * NR) - j;
  const Product part = part_of(&whole, i, rows, j, columns);
  return multiply(&part);
}

static int32_t multiply_in_parallel(const uint64_t *args, Cut cut, int64_t tasks, int threads) {
  int32_t status = OK;
#pragma omp parallel for num_threads(threads) reduction(max : status) schedule(static)
  for (int64_t task = 0; task < tasks; task++) {
    const int32_t result = multiply_task(args, cut, task);
    if (result > status) status = result;
  }
  return status;
}

static int32_t multiply_batch(const uint64_t *args, int wide) {
  const int64_t batch = INTEGER(3), m = INTEGER(4), n = INTEGER(5), k = INTEGER(6);
  if (batch <= 0 || m <= 0 || n <= 0) return OK;
  const int64_t threads = (double)batch * (m + READING_ROWS) * n * (k > 0 ? k : 1) < PARALLEL_PRODUCTS ? 1 : omp_get_max_threads();
  const int64_t pieces = batch % threads == 0 || batch >= 8 * threads ? 1 : threads;
  const int64_t down = grid_rows(m, n, pieces);
  const Cut cut = {wide, pieces, down, pieces / down};
  // Entering OpenMP takes half a microsecond even for one thread, which small products would notice.
  if (threads > 1) return multiply_in_parallel(args, cut, batch * pieces, (int)threads);
  int32_t status = OK;
  for (int64_t task = 0; task < batch && status == OK; task++) status = multiply_task(args, cut, task);
  return status;
}

KERNEL(matmul) { return multiply_batch(args, sizeof(real) == 4); }
KERNEL(matmul_wide) { return multiply_batch(args, 1); }

// Slots: 0 packed, 1 weight: [out, in], 2 out, 3 in.
KERNEL(pack_pairs) {
  uint32_t *packed = POINTER(uint32_t, 0);
  const uint16_t *weight = POINTER(const uint16_t, 1);
  const int64_t outs = INTEGER(2), width = INTEGER(3), words = round_up((width + 1) / 2, PAIR_UNIT);
#pragma omp parallel for if (outs * width > PARALLEL_WORK)
  for (int64_t panel = 0; panel < (outs + PAIR_COLUMNS - 1) / PAIR_COLUMNS; panel++) {
    uint32_t *to = packed + panel * words * PAIR_COLUMNS;
    memset(to, 0, sizeof(uint32_t) * (size_t)(words * PAIR_COLUMNS));
    for (int64_t o = 0; o < smaller(PAIR_COLUMNS, outs - panel * PAIR_COLUMNS); o++) {
      const uint16_t *row = weight + (panel * PAIR_COLUMNS + o) * width;
      for (int64_t i = 0; i < width; i++) to[i / 2 * PAIR_COLUMNS + o] |= (uint32_t)row[i] << (i % 2 * 16);
    }
  }
  return OK;
}

// Slots: 0 y, 1 x, 2 packed, 3 rows, 4 out, 5 in, 6 wide.
KERNEL(linear_pairs) {
  const int64_t rows = INTEGER(3), outs = INTEGER(4), width = INTEGER(5);
  const Pairs pairs = {POINTER(const word, 2), round_up((width + 1) / 2, PAIR_UNIT), 0};
  const Product whole = {rows, outs, width, {POINTER(const real, 1), width, 1}, {NULL, 0, 0}, pairs,
                         POINTER(char, 0), outs, 0, INTEGER(6) != 0};
  if ((double)(rows + READING_ROWS) * outs * width < PARALLEL_PRODUCTS) return multiply(&whole);
  const int64_t threads = omp_get_max_threads(), panels = (outs + PAIR_COLUMNS - 1) / PAIR_COLUMNS;
  int32_t status = OK;
#pragma omp parallel for reduction(max : status) schedule(static)
  for (int64_t task = 0; task < threads; task++) {
    const int64_t from = panels * task / threads * PAIR_COLUMNS;
    const int64_t to = smaller(outs, panels * (task + 1) / threads * PAIR_COLUMNS);
    const Product part = part_of(&whole, 0, rows, from, to - from);
    const int32_t result = multiply(&part);
    if (result > status) status = result;
  }
  return status;
}
