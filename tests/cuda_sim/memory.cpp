// Memory of the device. Every allocation ends at a page that nobody may touch, begins after one, and is filled with
// ones, which are NaN in all floating types. All of it lies in one reserved range, so that a stray address is
// recognised.
#include "runtime.h"
#include <map>
#include <sys/mman.h>
#include <vector>

static constexpr size_t PAGE = 4096, RANGE = (size_t)1 << 40;
static const size_t DEVICE_BYTES = (size_t)16 << 30;

static std::map<uintptr_t, size_t> allocations, freed, pinned;
static size_t used = 0;
static char *range_start = nullptr, *range_next = nullptr;

static size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static std::map<uintptr_t, size_t>::iterator holder(std::map<uintptr_t, size_t> &all, uintptr_t address) {
  auto next = all.upper_bound(address);
  if (next == all.begin()) return all.end();
  --next;
  return address < next->first + next->second ? next : all.end();
}

bool is_device_address(uintptr_t address) { return range_start && address - (uintptr_t)range_start < RANGE; }

bool is_allocated(uintptr_t address, size_t bytes) {
  const auto found = holder(allocations, address);
  return found != allocations.end() && address + bytes <= found->first + found->second;
}

bool is_pinned(uintptr_t address) { return holder(pinned, address) != pinned.end(); }

std::string describe_address(uintptr_t address) {
  if (!is_device_address(address)) return "address " + std::to_string(address) + ", which is not the device's";
  const auto was = holder(freed, address);
  if (was != freed.end()) return "memory that was freed";
  auto next = allocations.upper_bound(address);
  if (next != allocations.begin()) {
    const auto before = std::prev(next);
    const size_t past = address - before->first - before->second;
    if (past < 64 * PAGE)
      return std::to_string(past) + " bytes past the end of an allocation of " + std::to_string(before->second) +
             " bytes";
  }
  if (next != allocations.end())
    return std::to_string(next->first - address) + " bytes before an allocation of " + std::to_string(next->second) +
           " bytes";
  return "memory that was never allocated";
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  if (const int status = planted_failure("cuMemAlloc_v2")) return status;
  if (const int status = refuse_unsafe_call()) return status;
  if (!bytes) return INVALID_VALUE;
  if (used + bytes > DEVICE_BYTES) return OUT_OF_MEMORY;
  if (!range_start)
    range_start = range_next =
        (char *)mmap(nullptr, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  const size_t whole = whole_pages(bytes);
  char *first = range_next + PAGE;
  if (mprotect(first, whole, PROT_READ | PROT_WRITE)) return OUT_OF_MEMORY;
  range_next = first + whole; // an address is used once, so that using it after it was freed is noticed
  char *start = first + ((whole - bytes) & ~(size_t)255);
  if (bytes <= (1 << 20)) memset(start, 0xff, bytes);
  allocations[(uintptr_t)start] = bytes;
  used += bytes;
  *address = (uint64_t)start;
  return OK;
}

EXPORT int cuMemFree_v2(uint64_t address) {
  if (const int status = refuse_unsafe_call()) return status;
  finish_streams();
  const auto found = allocations.find(address);
  if (found == allocations.end()) return INVALID_VALUE;
  char *first = (char *)(address & ~(uint64_t)(PAGE - 1));
  madvise(first, whole_pages(found->second + (address - (uint64_t)first)), MADV_DONTNEED);
  mprotect(first, whole_pages(found->second + (address - (uint64_t)first)), PROT_NONE);
  used -= found->second;
  freed.insert(*found);
  allocations.erase(found);
  return OK;
}

EXPORT int cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = DEVICE_BYTES - used, *total = DEVICE_BYTES;
  return OK;
}
EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int) {
  *bytes = DEVICE_BYTES;
  return OK;
}

EXPORT int cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  if (const int status = refuse_unsafe_call()) return status;
  *address = aligned_alloc(PAGE, whole_pages(bytes));
  if (!*address) return OUT_OF_MEMORY;
  pinned[(uintptr_t)*address] = bytes;
  return OK;
}

EXPORT int cuMemFreeHost(void *address) {
  if (const int status = refuse_unsafe_call()) return status;
  finish_streams();
  if (!pinned.erase((uintptr_t)address)) return INVALID_VALUE;
  return ::free(address), OK;
}

// Copies to the device read memory of the host that is not pinned before they return, as CUDA does. A graph reads the
// host's memory each time that it is launched.
EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, Stream *stream) {
  if (bytes && !is_allocated(to, bytes)) return INVALID_VALUE;
  if (is_pinned((uintptr_t)from)) return enqueue(stream, [=] { return memcpy((void *)to, from, bytes), OK; });
  if (const int status = refuse_while_captured(stream)) return status;
  std::vector<char> copy((const char *)from, (const char *)from + bytes);
  return enqueue(stream, [=] { return memcpy((void *)to, copy.data(), bytes), OK; });
}
EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Stream *stream) {
  if (bytes && (!is_allocated(to, bytes) || !is_allocated(from, bytes))) return INVALID_VALUE;
  return enqueue(stream, [=] { return memcpy((void *)to, (const void *)from, bytes), OK; });
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, Stream *stream) {
  if (bytes && !is_allocated(from, bytes)) return INVALID_VALUE;
  if (!is_pinned((uintptr_t)to))
    if (const int status = refuse_while_captured(stream)) return status;
  return enqueue(stream, [=] { return memcpy(to, (const void *)from, bytes), OK; });
}
