// Looks at every access that a kernel compiled with -fsanitize=thread makes; g++ calls the functions below for each.
//
// An access to the device's memory must lie within one allocation. Two accesses to the same byte by different threads,
// one of them a write and not both atomic, must have a barrier between them: of the block, or of the warp for threads
// of one warp. Between blocks of one launch there is none.
#include "runtime.h"
#include <unordered_map>

namespace {

// The last access of one kind to a byte.
struct Access {
  uint64_t launch = 0, barriers = 0, warps = 0;
  unsigned block = 0, thread = 0;
  bool atomic = false;
};

struct Byte {
  Access write, reads[2]; // reads by two different threads
};

struct Line {
  Byte bytes[64];
};

std::unordered_map<uintptr_t, Line> lines;
uint64_t launch = 0;

bool same_thread(const Access &a, const Access &b) { return a.block == b.block && a.thread == b.thread; }

// Whether `before` and `now` may happen at the same time.
bool concurrent(const Access &before, const Access &now, bool shared) {
  if (before.launch != now.launch || same_thread(before, now)) return false;
  if (before.atomic && now.atomic) return false;
  if (before.block != now.block) return !shared; // shared memory belongs to one block at a time
  if (before.barriers != now.barriers) return false;
  return before.thread / 32 != now.thread / 32 || before.warps == now.warps;
}

[[noreturn]] void report_race(bool shared, const Access &before, const char *kinds) {
  const std::string where = shared ? "shared memory" : "device memory";
  const std::string other = before.block == sim_thread->block->number
                                ? "thread " + std::to_string(before.thread)
                                : "thread " + std::to_string(before.thread) + " of block " +
                                      std::to_string(before.block);
  const std::string what = "race in " + where + " with " + other + " (" + kinds + " without a barrier between)";
  sim_fail(LAUNCH_FAILED, what.c_str());
}

void look_at(uintptr_t address, unsigned bytes, bool write, bool atomic) {
  if (!sim_thread || !checking() || on_stack(address)) return;
  const bool device = is_device_address(address);
  if (device && !is_allocated(address, bytes)) {
    const std::string what = (write ? "writes " : "reads ") + std::to_string(bytes) + " bytes, ";
    const uintptr_t outside = is_allocated(address, 1) ? address + bytes - 1 : address;
    sim_fail(ILLEGAL_ADDRESS, (what + describe_address(outside)).c_str());
  }
  const Access now = {launch, sim_thread->block->barriers, warp_generation(), sim_thread->block->number,
                      sim_thread->number, atomic};
  for (uintptr_t at = address; at < address + bytes; at++) {
    Byte &byte = lines[at / 64].bytes[at % 64];
    if (concurrent(byte.write, now, !device))
      report_race(!device, byte.write, write ? "two writes" : "a write and a read");
    if (write) {
      for (const Access &read : byte.reads)
        if (concurrent(read, now, !device)) report_race(!device, read, "a read and a write");
      byte.write = now;
    } else {
      if (!same_thread(byte.reads[0], now)) byte.reads[1] = byte.reads[0];
      byte.reads[0] = now;
    }
  }
}

} // namespace

static bool check_accesses = false;
bool checking() { return check_accesses; }

void begin_checked_launch() {
  check_accesses = setting("CUDASIM_CHECK") == "1";
  launch++;
  lines.clear();
}

EXPORT void sim_atomic(const void *address, unsigned bytes) { look_at((uintptr_t)address, bytes, true, true); }

#define ACCESS(SIZE)                                                                                                  \
  EXPORT void __tsan_read##SIZE(void *p) { look_at((uintptr_t)p, SIZE, false, false); }                               \
  EXPORT void __tsan_write##SIZE(void *p) { look_at((uintptr_t)p, SIZE, true, false); }                               \
  EXPORT void __tsan_unaligned_read##SIZE(void *p) { look_at((uintptr_t)p, SIZE, false, false); }                     \
  EXPORT void __tsan_unaligned_write##SIZE(void *p) { look_at((uintptr_t)p, SIZE, true, false); }                     \
  EXPORT void __tsan_volatile_read##SIZE(void *p) { look_at((uintptr_t)p, SIZE, false, false); }                      \
  EXPORT void __tsan_volatile_write##SIZE(void *p) { look_at((uintptr_t)p, SIZE, true, false); }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

EXPORT void __tsan_read_range(void *p, size_t bytes) { look_at((uintptr_t)p, (unsigned)bytes, false, false); }
EXPORT void __tsan_write_range(void *p, size_t bytes) { look_at((uintptr_t)p, (unsigned)bytes, true, false); }
EXPORT void __tsan_init() {}
EXPORT void __tsan_func_entry(void *) {}
EXPORT void __tsan_func_exit() {}

// What the macros of device.h do by __atomic builtins was looked at in sim_atomic.
EXPORT uint32_t __tsan_atomic32_load(const volatile uint32_t *p, int) { return __atomic_load_n(p, 5); }
EXPORT uint64_t __tsan_atomic64_load(const volatile uint64_t *p, int) { return __atomic_load_n(p, 5); }
EXPORT int __tsan_atomic32_compare_exchange_strong(volatile uint32_t *p, uint32_t *e, uint32_t v, int, int) {
  return __atomic_compare_exchange_n(p, e, v, 0, 5, 5);
}
EXPORT int __tsan_atomic64_compare_exchange_strong(volatile uint64_t *p, uint64_t *e, uint64_t v, int, int) {
  return __atomic_compare_exchange_n(p, e, v, 0, 5, 5);
}
EXPORT void __tsan_atomic_thread_fence(int) {}
