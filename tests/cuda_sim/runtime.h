// What the parts of the simulator share.
#pragma once
#include "simulator.h"
#include <functional>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

// Statuses of the driver.
enum {
  OK = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  ILLEGAL_STATE = 401,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  OUT_OF_RESOURCES = 701,
  MISALIGNED = 716,
  LAUNCH_FAILED = 719,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
  CAPTURED_EVENT = 907,
};

// How the simulator behaves; read from the environment at each launch.
//   CUDASIM_ORDER    forward, reverse or shuffled: in which order threads get their turns
//   CUDASIM_DELAY    1: streams do nothing until somebody waits for them
//   CUDASIM_THREADS  how many blocks run at once
//   CUDASIM_CHECK    1: kernels are compiled so that every access to memory is looked at (checks.cpp)
//   CUDASIM_FAIL     name=status: the function of that name fails
//   CUDASIM_CAPABILITY, CUDASIM_CUDNN  compute capability of the device, version of cuDNN: 90 and 91900 by default
std::string setting(const char *name);
int planted_failure(const char *function);

// A compiled kernel.
struct Kernel {
  std::string name;
  void (*run)(void **parameters);
  int parameter_count;
  unsigned sizes[32];
  int shared_limit;
};

int run_kernel(const Kernel &kernel, uint3 grid, uint3 size, unsigned shared_bytes, void **parameters);

// What went wrong last, for people.
void set_failure(const std::string &text);
const std::string &failure_text();

// Memory of the device: each allocation lies between pages that nobody may touch.
bool is_device_address(uintptr_t address);
bool is_allocated(uintptr_t address, size_t bytes);
std::string describe_address(uintptr_t address);
bool is_pinned(uintptr_t address);

// Streams: work in order, or the nodes of a graph while they are captured.
struct Stream;
int enqueue(Stream *stream, std::function<int()> work);
void finish_streams();
bool is_captured(Stream *stream);
// The status of a call that no captured stream allows, or none but those captured in relaxed mode; OK where none is.
int refuse_while_captured(Stream *stream);
int refuse_unsafe_call();

// Looking at accesses.
void begin_checked_launch();
bool checking();
std::string place(); // kernel, block and thread that run
bool on_stack(uintptr_t address);
uint64_t warp_generation();
