// What the simulator and the kernels compiled for it share: the threads of a block, and where they meet.
#pragma once
#include <stdint.h>
#include <string.h>

struct uint3 {
  unsigned x, y, z;
};

struct Block;

// A copy begun with cp.async; it happens when the thread waits for its group.
struct PendingCopy {
  char *to;
  const char *from;
  int bytes, valid; // bytes after `valid` become zeros
};

struct Thread {
  uint3 index;
  unsigned number, lane, warp;
  Block *block;
  void *stack_pointer; // where it goes on
  bool returned;
  const char *waits_at; // the barrier that it has come to
  PendingCopy copies[64];
  int copy_count, group_ends[8], group_count;
};

struct Block {
  uint3 index, size, grid;
  unsigned threads, number;
  char *dynamic_shared;
  uint64_t barriers; // passed so far
};

extern "C" {
extern __thread Thread *sim_thread; // the one that runs
// Waits for all threads of the block; returns for how many `predicate` holds.
int sim_barrier(int predicate);
// Gives `bytes` bytes to the other lanes of the warp, waits for those in `mask`, and returns 32 slots of 64 bytes.
const char *sim_exchange(uint32_t mask, const void *value, unsigned bytes, const char *name);
// Ends the launch with an error that names kernel, block and thread.
[[noreturn]] void sim_fail(int status, const char *what);
// Accesses that another thread may make at the same time without harm.
void sim_atomic(const void *address, unsigned bytes);
}
