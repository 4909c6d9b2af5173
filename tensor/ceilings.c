// What this machine can do at most: the ceilings that figures are divided by.
//
// Each probe is `int32_t name(const uint64_t *args)` with slot 0 the address of a double for the result and slot 1 the
// number of threads; every thread does the same work and the best of several rounds counts. A result of 0 means that
// the machine (or the compiler's target) has no such unit.
//
// probe_fma   GFLOP/s of f32 fused multiply-add (a multiply and an add where there is none)
// probe_bf16  GFLOP/s of bf16 dot-product instructions (vdpbf16ps)
// probe_amx   GFLOP/s of bf16 tile products (tdpbf16ps)
// probe_read  GB/s of reading memory; slot 2 is the size in bytes of what is read again and again, 0 for 256 MiB.
//             Smaller sizes give the bandwidth of a cache, or of weights that stay in one.
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__AVX512BF16__) || defined(__AMX_BF16__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vf __attribute__((vector_size(4 * LANES)));

// A fused multiply-add takes 4 or 5 cycles and two start per cycle, so at least ten independent chains are needed.
// Twelve fit the registers of every target. The chains start from different values and are all written out at the end,
// so the compiler can neither merge nor drop one.
enum { CHAINS = 12, ROUNDS = 8 };

// One round runs on every thread between two barriers; `work` returns nothing but must not be removable.
static double best_rate(int threads, double amount_per_thread, void (*work)(void *), void *shared) {
  double best = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double begin = 0, end = 0;
#pragma omp parallel num_threads(threads)
    {
#pragma omp barrier
#pragma omp master
      begin = omp_get_wtime();
#pragma omp barrier
      work(shared);
#pragma omp barrier
#pragma omp master
      end = omp_get_wtime();
    }
    const double rate = amount_per_thread * threads / (end - begin) * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}

static void report(const uint64_t *args, double value) { memcpy((void *)(uintptr_t)args[0], &value, sizeof value); }
static int thread_count(const uint64_t *args) { return args[1] > 1 ? (int)args[1] : 1; }

enum { FMA_STEPS = 2000000 };

static volatile float sink;

// Writes the chains' sum, so that every chain is needed.
static void keep(const vf *chain) {
  vf total = chain[0];
  for (int i = 1; i < CHAINS; i++) total += chain[i];
  sink = total[0];
}

static void fma_work(void *unused) {
  (void)unused;
  vf chain[CHAINS];
  for (int i = 0; i < CHAINS; i++) chain[i] = (vf){0} + (float)(i + 1);
  const vf factor = (vf){0} + 0.999f, term = (vf){0} + 0.5f;
  for (int step = 0; step < FMA_STEPS; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + term;
  }
  keep(chain);
}

int32_t probe_fma(const uint64_t *args) {
  report(args, best_rate(thread_count(args), 2.0 * LANES * CHAINS * FMA_STEPS, fma_work, NULL));
  return 0;
}

#if defined(__AVX512BF16__)
static void dot_work(void *unused) {
  (void)unused;
  __m512 chain[CHAINS];
  for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_set1_ps((float)(i + 1));
  const __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80);
  for (int step = 0; step < FMA_STEPS; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_dpbf16_ps(chain[i], one, one);
  }
  keep((const vf *)chain);
}

int32_t probe_bf16(const uint64_t *args) {
  report(args, best_rate(thread_count(args), 64.0 * CHAINS * FMA_STEPS, dot_work, NULL));
  return 0;
}
#else
int32_t probe_bf16(const uint64_t *args) {
  report(args, 0);
  return 0;
}
#endif

#if defined(__AMX_BF16__) && defined(__linux__)
enum { TILE_STEPS = 200000 };

// Four accumulators hide the 52-cycle latency of a tile product (one starts every 16 cycles). Each accumulator is
// stored at the end.
static void tile_work(void *unused) {
  (void)unused;
  static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
  } config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&config);
  static _Thread_local float out[4][256];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int step = 0; step < TILE_STEPS; step++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, out[0], 64);
  _tile_stored(1, out[1], 64);
  _tile_stored(2, out[2], 64);
  _tile_stored(3, out[3], 64);
  _tile_release();
  sink = out[0][0] + out[1][0] + out[2][0] + out[3][0];
}

int32_t probe_amx(const uint64_t *args) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 }; // the kernel grants tile registers on request, per process
  const int granted = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
  report(args, granted ? best_rate(thread_count(args), 4.0 * 16 * 16 * 32 * 2 * TILE_STEPS, tile_work, NULL) : 0);
  return 0;
}
#else
int32_t probe_amx(const uint64_t *args) {
  report(args, 0);
  return 0;
}
#endif

typedef struct {
  const char *data;
  int64_t bytes_per_thread;
} Region;

// Adds up the thread's share with eight chains; each load is a full vector.
static void read_work(void *shared) {
  const Region *region = shared;
  const vf *data = (const vf *)(region->data + omp_get_thread_num() * region->bytes_per_thread);
  const int64_t count = region->bytes_per_thread / (int64_t)sizeof(vf);
  vf chain[CHAINS] = {{0}};
  for (int64_t i = 0; i < count; i += 8) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) chain[j] += data[i + j];
  }
  keep(chain);
}

int32_t probe_read(const uint64_t *args) {
  const int threads = thread_count(args);
  const int64_t wanted = args[2] ? (int64_t)args[2] : (int64_t)1 << 28;
  const int64_t share = (wanted / threads + 4095) / 4096 * 4096;
  void *data = aligned_alloc(1 << 21, (size_t)((share * threads + (1 << 21) - 1) >> 21 << 21));
  if (!data) return 1;
#if defined(__linux__)
  madvise(data, (size_t)(share * threads), MADV_HUGEPAGE);
#endif
  memset(data, 0, (size_t)(share * threads));
  Region region = {data, share};
  report(args, best_rate(threads, (double)share, read_work, &region));
  free(data);
  return 0;
}
