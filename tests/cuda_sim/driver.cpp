// libcuda: one device, modules made by the simulated NVRTC, and their launches.
#include "runtime.h"
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

int planted_failure(const char *function) {
  const std::string given = setting("CUDASIM_FAIL"), prefix = std::string(function) + "=";
  return given.compare(0, prefix.size(), prefix) == 0 ? atoi(given.c_str() + prefix.size()) : OK;
}

// --- The device ---

EXPORT int cuInit(unsigned) { return planted_failure("cuInit"); }
EXPORT int cuDriverGetVersion(int *version) {
  const std::string given = setting("CUDASIM_DRIVER");
  *version = given.empty() ? 13000 : atoi(given.c_str());
  return OK;
}
EXPORT int cuDeviceGetCount(int *count) { return *count = 1, OK; }
EXPORT int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, ordinal == 0 ? OK : INVALID_DEVICE; }
EXPORT int cuDeviceGetName(char *name, int size, int) { return snprintf(name, (size_t)size, "simulated GPU"), OK; }
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int) {
  const std::string given = setting("CUDASIM_CAPABILITY");
  const int capability = given.empty() ? 90 : atoi(given.c_str());
  switch (attribute) {
    case 10: *value = 32; break;          // threads of a warp
    case 16: *value = 4; break;           // multiprocessors
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    case 97: *value = 227 * 1024; break;  // shared memory that a block may ask for
    default: *value = 0;
  }
  return OK;
}
EXPORT int cuDevicePrimaryCtxRetain(void **context, int) {
  static char primary;
  return *context = &primary, OK;
}
EXPORT int cuCtxSetCurrent(void *) { return OK; }

struct StatusText {
  int status;
  const char *name, *text;
};
static const StatusText texts[] = {
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {MISALIGNED, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
};
static const StatusText *text_of(int status) {
  for (const StatusText &text : texts)
    if (text.status == status) return &text;
  return nullptr;
}
EXPORT int cuGetErrorName(int status, const char **name) {
  const StatusText *text = text_of(status);
  return *name = text ? text->name : nullptr, text ? OK : INVALID_VALUE;
}
// The simulator knows more of what a kernel did than a device does, and says it here.
EXPORT int cuGetErrorString(int status, const char **string) {
  const bool kernel = status == ILLEGAL_ADDRESS || status == MISALIGNED || status == LAUNCH_FAILED;
  const StatusText *text = text_of(status);
  *string = kernel && !failure_text().empty() ? failure_text().c_str() : text ? text->text : nullptr;
  return OK;
}
// --- Modules and launches ---

static const char image_mark[8] = {'C', 'U', 'D', 'A', 'S', 'I', 'M', '\n'};

// An image is a shared library behind a mark and its size.
EXPORT int cuModuleLoadData(void **module, const char *image) {
  if (const int status = refuse_unsafe_call()) return status;
  if (memcmp(image, image_mark, sizeof image_mark)) return INVALID_IMAGE;
  uint64_t bytes;
  memcpy(&bytes, image + 8, 8);
  const int file = memfd_create("kernel", 0);
  if (file < 0 || write(file, image + 16, bytes) != (ssize_t)bytes) return OUT_OF_MEMORY;
  *module = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!*module) set_failure(dlerror());
  return *module ? OK : INVALID_IMAGE;
}

EXPORT int cuModuleGetFunction(Kernel **function, void *module, const char *name) {
  const std::string kernel = name;
  const auto run = (void (*)(void **))dlsym(module, ("sim_run_" + kernel).c_str());
  const auto sizes = (int (*)(unsigned *))dlsym(module, ("sim_sizes_" + kernel).c_str());
  if (!run || !sizes) return NOT_FOUND;
  *function = new Kernel{kernel, run, 0, {}, 48 * 1024};
  (*function)->parameter_count = sizes((*function)->sizes);
  return OK;
}

EXPORT int cuFuncSetAttribute(Kernel *kernel, int attribute, int value) {
  if (attribute != 8 || value > 227 * 1024) return INVALID_VALUE;
  kernel->shared_limit = value;
  return OK;
}
EXPORT int cuFuncGetAttribute(int *value, int, const Kernel *) { return *value = 0, OK; }

EXPORT int cuLaunchKernel(Kernel *kernel, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                          unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream *stream, void **parameters,
                          void **) {
  if (const int status = planted_failure("cuLaunchKernel")) return status;
  const uint64_t threads = (uint64_t)block_x * block_y * block_z;
  if (!grid_x || !grid_y || !grid_z || grid_y > 65535 || grid_z > 65535 || !threads || threads > 1024) {
    set_failure(kernel->name + ": a launch of " + std::to_string(grid_x) + " x " + std::to_string(grid_y) + " x " +
                std::to_string(grid_z) + " blocks of " + std::to_string(threads) + " threads is not possible");
    return INVALID_VALUE;
  }
  if (shared_bytes > (unsigned)kernel->shared_limit) return INVALID_VALUE;
  // The parameters are copied now, as CUDA does.
  const auto values = std::make_shared<std::vector<std::vector<char>>>();
  for (int i = 0; i < kernel->parameter_count; i++)
    values->emplace_back((char *)parameters[i], (char *)parameters[i] + kernel->sizes[i]);
  return enqueue(stream, [=] {
    std::vector<void *> addresses;
    for (std::vector<char> &value : *values) addresses.push_back(value.data());
    return run_kernel(*kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, addresses.data());
  });
}
