// What the CPU backend needs of the system besides kernels.
#define _DEFAULT_SOURCE
#include <stdint.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

// slots: 0 number of threads that kernels use from now on
int32_t set_threads(const uint64_t *args) {
#if defined(_OPENMP)
  omp_set_num_threads((int)args[0]);
#else
  (void)args;
#endif
  return 0;
}

// slots: 0 address, 1 bytes. Large pages spare the processor most of its address translations.
int32_t advise_huge_pages(const uint64_t *args) {
#if defined(__linux__)
  madvise((void *)(uintptr_t)args[0], (size_t)args[1], MADV_HUGEPAGE);
#else
  (void)args;
#endif
  return 0;
}
