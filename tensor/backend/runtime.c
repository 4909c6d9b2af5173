// What the CPU backend needs of the system besides kernels.
#define _DEFAULT_SOURCE
#include <stddef.h>
#include <stdint.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { HIGHEST = -19 }; // the priority of a favoured thread, as `nice` counts

// Call a kernel. JavaScript calls one native function that it knows much faster than one of many, so all go through here.
int32_t invoke(int32_t (*kernel)(const uint64_t *), const uint64_t *args) { return kernel(args); }

// Kernels use `count` threads from now on.
void set_threads(int32_t count) {
#if defined(_OPENMP)
  omp_set_num_threads(count);
#else
  (void)count;
#endif
}

// Large pages spare the processor most of its address translations.
void advise_huge_pages(void *address, size_t bytes) {
#if defined(__linux__)
  madvise(address, bytes, MADV_HUGEPAGE);
#else
  (void)address, (void)bytes;
#endif
}

// A thread whose turns are short is let in soon after it wakes, from Linux 6.12 on, and one of a higher priority stays when
// others want to be let in. Only some programs may raise a priority.
void favour(int32_t thread) {
#if defined(__linux__) && defined(SYS_sched_setattr)
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } turns = {.size = sizeof turns, .flags = 8 /* the policy stays */, .runtime = 100000 /* ns */};
  const int nice = getpriority(PRIO_PROCESS, thread);
  turns.nice = nice > HIGHEST ? HIGHEST : nice;
  if (syscall(SYS_sched_setattr, thread, &turns, 0) == 0) return;
  turns.nice = nice;
  syscall(SYS_sched_setattr, thread, &turns, 0);
#else
  (void)thread;
#endif
}
