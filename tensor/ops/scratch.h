// Working memory that a thread keeps.
#pragma once
#include "kernel.h"

// At least `count` floats that belong to this thread until its next call; NULL when there is no memory.
static inline float *thread_scratch(size_t count) {
  static _Thread_local float *data;
  static _Thread_local size_t capacity;
  if (count > capacity) {
    free(data);
    data = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    capacity = data ? count : 0;
  }
  return data;
}
