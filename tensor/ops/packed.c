// Products with f32 weights that lie in the order in which they are read: panels of PANEL outputs, input after input,
// [panels, in, PANEL]. One row of x then streams through the weights at the speed of memory, and many rows need no packing
// for each call. Sums are added in the order of matmul.c (blocks of inputs, each from zero), so they have its bits.
//
// Where outputs are gated, the first half of them are gates and y = silu(gate)·up. A panel then has HALF gates and the HALF
// outputs that they let through, so that the thread which has the sums makes y of them.
#include "gemm_vector.h"
#include "math.h"
#include "rows.h"
#include "scratch.h"

enum { PANEL = 32, HALF = PANEL / 2, PAIR = 2, BLOCK_PANELS = 8, SHARE_BLOCKS = 6, BLOCK_FLOATS = 16384 };

// Columns of y that a panel makes.
static int64_t panel_outputs(int gated) { return gated ? HALF : PANEL; }

// [in, count] of weights [count, in].
static void pack_outputs(float *to, const float *weight, int64_t count, int64_t width) {
  for (int64_t o = 0; o < count; o++)
    for (int64_t i = 0; i < width; i++) to[i * PANEL + o] = weight[o * width + i];
}

// Slots: 0 packed, 1 weight: [out, in], 2 out, 3 in, 4 whether outputs are gated.
KERNEL(pack_rows) {
  float *packed = POINTER(float, 0);
  const float *weight = POINTER(const float, 1);
  const int64_t outs = INTEGER(2), width = INTEGER(3);
  const int gated = INTEGER(4) != 0;
  const int64_t made = gated ? outs / 2 : outs, each = panel_outputs(gated);
#pragma omp parallel for if (outs * width > PARALLEL_WORK)
  for (int64_t panel = 0; panel < (made + each - 1) / each; panel++) {
    float *to = packed + panel * width * PANEL;
    const int64_t first = panel * each, count = smaller(each, made - first);
    memset(to, 0, sizeof(float) * (size_t)(width * PANEL));
    pack_outputs(to, weight + first * width, count, width);
    if (gated) pack_outputs(to + HALF, weight + (made + first) * width, count, width);
  }
  return OK;
}

// Weights of a strip of panels: where they begin, how far panels are apart, and what is asked for meanwhile.
typedef struct {
  const float *w;
  int64_t panelStep;
  const char *ahead;
  int64_t aheadStep; // bytes
} Strip;

// sums[r] = or += x[..][r]·w for `rows` rows and `panels` panels of weights, two vectors of each; x: [depth, A_COLUMN].
INLINE void multiply_panels(const int rows, const int panels, int64_t depth, const float *x, Strip s, float *sums,
                            int64_t sumsRow, int add) {
  vf acc[MR][2 * PAIR];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < 2 * panels; v++) acc[r][v] = (vf){0};
#pragma GCC unroll 2
  for (int64_t i = 0; i < depth; i++, x += A_COLUMN, s.w += PANEL, s.ahead += s.aheadStep) {
    if (panels == 1) __builtin_prefetch(s.ahead, 0, 2);
    vi w[2 * PAIR];
#pragma GCC unroll 4
    for (int v = 0; v < 2 * panels; v++) w[v] = *(const viu *)(s.w + v / 2 * s.panelStep + v % 2 * LANES);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) multiply_row(acc[r], (const word *)x + r, w, 2 * panels, r);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < 2 * panels; v++) {
      vfu *to = (vfu *)(sums + r * sumsRow + v / 2 * PANEL + v % 2 * LANES);
      if (add) acc[r][v] += *to;
      *to = acc[r][v];
    }
}

// Few rows leave registers for the sums of two panels, which keeps the multipliers busier.
static void multiply_rows(int64_t rows, int64_t panels, int64_t depth, const float *x, Strip s, float *sums,
                          int64_t sumsRow, int add) {
#define ONE(r) case r: multiply_panels(r, 1, depth, x, s, sums, sumsRow, add); break;
#define TWO(r) case r: multiply_panels(r, PAIR, depth, x, s, sums, sumsRow, add); return;
  if (panels == PAIR)
    switch (rows) { TWO(1) TWO(2) TWO(3) }
  for (int64_t p = 0; p < panels; p++) {
    switch (rows) { FOR_EACH_ROWS(ONE) }
    s.w += s.panelStep, s.ahead += s.panelStep * (int64_t)sizeof(float), sums += PANEL;
  }
#undef ONE
#undef TWO
}

typedef struct {
  const float *weights, *x; // x: tiles of rows, [width, A_COLUMN] each
  int64_t rows, tiles, outs, width; // outs: columns of y
  float *y, *maxima; // maxima: [rows, blocks of panels], or NULL
  int gated;
} Task;

// Rows of x in the order in which a tile of them is multiplied.
static void pack_tile(const Task *t, const float *x, int64_t tile, float *tiles) {
  const int64_t row = t->rows * tile / t->tiles, left = smaller(t->rows - row, A_COLUMN);
  word *to = (word *)(tiles + tile * t->width * A_COLUMN);
  pack_columns((View){x + row * t->width, t->width, 1}, left, t->width, t->width, A_COLUMN, to);
}

// y = silu(gate)·up of a row of panels, each HALF gates and HALF others; see swiglu.c.
static void write_gated(float *y, const float *sums, int64_t columns) {
  for (int64_t c = 0; c < columns; c += HALF, sums += PANEL)
#pragma omp simd
    for (int64_t i = 0; i < smaller(HALF, columns - c); i++) y[c + i] = sums[i] * sigmoid_f32(sums[i]) * sums[HALF + i];
}

// Panels [panel, panel + panels) for one tile of rows. Each tile asks for its share of the panels that come `ahead` panels
// later.
static void multiply_strip(const Task *t, int64_t tile, int64_t panel, int64_t panels, int64_t ahead) {
  const int64_t each = panel_outputs(t->gated), first = panel * each, columns = smaller(panels * each, t->outs - first);
  const int64_t panelStep = t->width * PANEL, depth = block_depth(t->width);
  const int64_t row = t->rows * tile / t->tiles, rows = t->rows * (tile + 1) / t->tiles - row;
  const int64_t aheadStep = (PANEL * (int64_t)sizeof(float) + t->tiles - 1) / t->tiles;
  const int direct = !t->gated && columns == panels * PANEL;
  float edge[MR * PAIR * PANEL];
  float *sums = direct ? t->y + row * t->outs + first : edge;
  const int64_t sumsRow = direct ? t->outs : PAIR * PANEL;
  for (int64_t i = 0; i < t->width; i += depth) {
    const int64_t inputs = smaller(depth, t->width - i);
    const float *w = t->weights + panel * panelStep + i * PANEL;
    const char *next = (const char *)(w + ahead * panelStep) + tile * inputs * aheadStep;
    for (int64_t v = 0; v < PANEL; v += 2 * LANES)
      multiply_rows(rows, panels, inputs, t->x + (tile * t->width + i) * A_COLUMN,
                    (Strip){w + v, panelStep, next, aheadStep}, sums + v, sumsRow, i > 0);
  }
  if (direct) return;
  for (int64_t r = 0; r < rows; r++) {
    float *y = t->y + (row + r) * t->outs + first;
    if (t->gated)
      write_gated(y, edge + r * sumsRow, columns);
    else
      memcpy(y, edge + r * sumsRow, sizeof(float) * (size_t)columns);
  }
}

// Maxima of a row.
static int64_t maxima_of(int64_t outs) { return (outs + BLOCK_PANELS * PANEL - 1) / (BLOCK_PANELS * PANEL); }

// The largest results of a tile of rows in the block of panels from `from` on; NaN where there is one.
static void note_maxima(const Task *t, int64_t tile, int64_t from) {
  const int64_t first = from * PANEL, columns = smaller(BLOCK_PANELS * PANEL, t->outs - first);
  for (int64_t row = t->rows * tile / t->tiles; row < t->rows * (tile + 1) / t->tiles; row++)
    t->maxima[row * maxima_of(t->outs) + from / BLOCK_PANELS] = largest_or_nan(t->y + row * t->outs + first, columns);
}

// Panels [from, to), which stay in the second-level cache while all rows pass by: a tile's results then go to few pages.
static void multiply_block(const Task *t, int64_t from, int64_t to, int64_t ahead) {
  for (int64_t tile = 0; tile < t->tiles; tile++) {
    for (int64_t panel = from; panel < to; panel += PAIR)
      multiply_strip(t, tile, panel, smaller(PAIR, to - panel), ahead);
    if (t->maxima) note_maxima(t, tile, from);
  }
}

// A thread's share of the panels, of which few rows take two at a time. It is cut into several blocks of about BLOCK_FLOATS,
// since nobody asks for the first one ahead.
static void multiply_share(const Task *t, int64_t panels, int64_t thread, int64_t threads) {
  const int64_t unit = t->rows <= 3 ? PAIR : 1, units = (panels + unit - 1) / unit;
  const int64_t from = units * thread / threads * unit, end = smaller(units * (thread + 1) / threads * unit, panels);
  const int64_t panelStep = t->width * PANEL, most = (BLOCK_FLOATS + panelStep - 1) / panelStep;
  const int64_t block = round_up(smaller((end - from + SHARE_BLOCKS - 1) / SHARE_BLOCKS, most), unit);
  for (int64_t panel = from; panel < end; panel += block)
    multiply_block(t, panel, smaller(end, panel + block), panel + block < end ? block : 0);
}

// Panels for all threads of a parallel region: equal shares, or, where there are many or maxima are wanted, blocks for
// whoever is free.
static void multiply_together(const Task *t, int64_t panels, int64_t *taken) {
  const int64_t threads = omp_get_num_threads(), blocks = (panels + BLOCK_PANELS - 1) / BLOCK_PANELS;
  if (blocks < SHARE_BLOCKS * threads && !t->maxima) {
    multiply_share(t, panels, omp_get_thread_num(), threads);
    return;
  }
  for (int64_t block = take(taken), next; block < blocks; block = next) {
    next = take(taken);
    const int64_t panel = block * BLOCK_PANELS, ahead = next < blocks ? (next - block) * BLOCK_PANELS : 0;
    multiply_block(t, panel, smaller(panels, panel + BLOCK_PANELS), ahead);
  }
}

// All panels for rows of this thread's own, which it packs for itself: where panels are few, equal shares of them are not to
// be had, and rows that another thread packed are far away. Returns whether there was memory.
static int multiply_own_rows(const Task *t, const float *x, int64_t panels, int64_t thread, int64_t threads) {
  const int64_t from = t->rows * thread / threads, rows = t->rows * (thread + 1) / threads - from;
  if (rows == 0) return 1;
  const int64_t count = (rows + MR - 1) / MR;
  float *tiles = thread_scratch((size_t)(count * t->width * A_COLUMN));
  if (!tiles) return 0;
  const Task own = {t->weights, tiles, rows, count, t->outs, t->width, t->y + from * t->outs, NULL, t->gated};
  for (int64_t tile = 0; tile < count; tile++) pack_tile(&own, x + from * t->width, tile, tiles);
  multiply_share(&own, panels, 0, 1);
  return 1;
}

// Slots: 0 y, 1 x, 2 packed, 3 rows, 4 columns of y, 5 in, 6 whether outputs are gated,
// 7 maxima or null: the largest of each BLOCK_PANELS panels, [rows, blocks], NaN where there is one; never of gated outputs.
KERNEL(linear_packed) {
  Task t = {POINTER(const float, 2), NULL, INTEGER(3), 0, INTEGER(4), INTEGER(5), POINTER(float, 0), POINTER(float, 7),
            INTEGER(6) != 0};
  const float *x = POINTER(const float, 1);
  if (t.rows <= 0 || t.outs <= 0) return OK;
  if (t.width <= 0) {
    memset(t.y, 0, sizeof(float) * (size_t)(t.rows * t.outs));
    for (int64_t panel = 0; t.maxima && panel * PANEL < t.outs; panel += BLOCK_PANELS)
      for (int64_t row = 0; row < t.rows; row++) t.maxima[row * maxima_of(t.outs) + panel / BLOCK_PANELS] = 0;
    return OK;
  }
  t.tiles = (t.rows + MR - 1) / MR;
  const int64_t each = panel_outputs(t.gated), panels = (t.outs + each - 1) / each, threads = omp_get_max_threads();
  // Weights are read once: few rows cost what reading costs, about eight rows' worth.
  const int alone = (t.rows + 8) * panels * PANEL * t.width <= 16 * PARALLEL_WORK;
  if (!alone && !t.maxima && panels < SHARE_BLOCKS * threads && t.rows >= 2 * MR * threads) {
    int complete = 1;
#pragma omp parallel reduction(& : complete)
    complete = multiply_own_rows(&t, x, panels, omp_get_thread_num(), omp_get_num_threads());
    return complete ? OK : OUT_OF_MEMORY;
  }
  float *tiles = thread_scratch((size_t)(t.tiles * t.width * A_COLUMN));
  if (!tiles) return OUT_OF_MEMORY;
  t.x = tiles;
  if (alone || t.tiles == 1)
    for (int64_t tile = 0; tile < t.tiles; tile++) pack_tile(&t, x, tile, tiles);
  if (alone && !t.maxima) return multiply_share(&t, panels, 0, 1), OK;
  int64_t taken = 0;
#pragma omp parallel if (!alone)
  {
    if (!alone && t.tiles > 1) {
#pragma omp for schedule(static)
      for (int64_t tile = 0; tile < t.tiles; tile++) pack_tile(&t, x, tile, tiles);
    }
    multiply_together(&t, panels, &taken);
  }
  return OK;
}
