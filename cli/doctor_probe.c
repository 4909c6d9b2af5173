// What the compiler may use with its flags, and what the operating system then grants.
#include <stdint.h>
#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { OPENMP, AVX2, FMA, AVX512, AVX512_BF16, AMX_BF16, AMX_GRANTED, NEON };

static uint64_t bit(int n) { return UINT64_C(1) << n; }

// args: the address of a u64 to fill with one bit for each name above
int32_t probe_features(const uint64_t *args) {
  uint64_t found = 0;
#ifdef _OPENMP
  found |= bit(OPENMP);
#endif
#ifdef __AVX2__
  found |= bit(AVX2);
#endif
#ifdef __FMA__
  found |= bit(FMA);
#endif
#ifdef __AVX512F__
  found |= bit(AVX512);
#endif
#ifdef __AVX512BF16__
  found |= bit(AVX512_BF16);
#endif
#ifdef __ARM_NEON
  found |= bit(NEON);
#endif
#if defined(__AMX_BF16__) && defined(__linux__)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  found |= bit(AMX_BF16);
  if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0) found |= bit(AMX_GRANTED);
#endif
  *(uint64_t *)(uintptr_t)args[0] = found;
  return 0;
}
