// libnccl for ranks that are processes: they meet in memory that they share under a name which the id holds. An exchange
// happens at its turn of the stream, and adds up in the order of ranks.
#include "runtime.h"
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vector>

enum { SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6, TIMEOUT = 8 };
enum { I8 = 0, U8 = 1, I32 = 2, F32 = 7, F64 = 8, BF16 = 9 };
enum { SUM = 0, PRODUCT = 1, MAX = 2, MIN = 3, AVERAGE = 4 };

static constexpr int MOST_RANKS = 8;
static constexpr size_t PIECE = 64 << 10; // bytes that a rank shows at a time

// A name behind a mark; the rest of the 128 bytes are zeros.
struct Id {
  char mark[8], name[120];
};
static const char mark[8] = {'C', 'U', 'D', 'A', 'S', 'I', 'M', 'N'};

// What ranks share. A rank shows its piece, and takes the step of the others' counts before it reads theirs.
struct Shared {
  volatile int joined, failed;
  volatile uint64_t shown[MOST_RANKS], read[MOST_RANKS]; // pieces so far
  char pieces[MOST_RANKS][PIECE];
};

struct Communicator {
  Shared *shared;
  int rank, ranks, status;
  uint64_t step;
  bool aborted;
};

static std::string reason;
static int refuse(int status, const std::string &why) { return reason = why, status; }

// Waits until `done` holds; a rank that does not come within the time is gone.
template <class Done> static bool wait_for(const Communicator &c, Done done) {
  const std::string given = setting("CUDASIM_NCCL_MS");
  const long most = given.empty() ? 20000 : atol(given.c_str());
  for (long tenths = 0; !done(); tenths++) {
    if (tenths > 10 * most || c.aborted || c.shared->failed) return false;
    const struct timespec pause = {0, 100000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

EXPORT int ncclGetVersion(int *version) {
  const std::string given = setting("CUDASIM_NCCL");
  return *version = given.empty() ? 22809 : atoi(given.c_str()), OK;
}
EXPORT const char *ncclGetErrorString(int status) {
  switch (status) {
    case SYSTEM_ERROR: return "unhandled system error";
    case INVALID_ARGUMENT: return "invalid argument";
    case INVALID_USAGE: return "invalid usage";
    case REMOTE_ERROR: return "remote process exited or there was a network error";
    case TIMEOUT: return "operation timed out";
    default: return "internal error";
  }
}
EXPORT const char *ncclGetLastError(Communicator *) { return reason.c_str(); }

EXPORT int ncclGetUniqueId(Id *id) {
  if (const int status = planted_failure("ncclGetUniqueId")) return status;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  memset(id, 0, sizeof *id);
  memcpy(id->mark, mark, sizeof mark);
  snprintf(id->name, sizeof id->name, "/cudasim-nccl-%d-%lld%09ld", getpid(), (long long)now.tv_sec, now.tv_nsec);
  return OK;
}

EXPORT int ncclCommInitRank(Communicator **out, int ranks, Id id, int rank) {
  if (memcmp(id.mark, mark, sizeof mark)) return refuse(INVALID_ARGUMENT, "the id is not from ncclGetUniqueId");
  if (ranks < 1 || ranks > MOST_RANKS || rank < 0 || rank >= ranks) return refuse(INVALID_ARGUMENT, "rank");
  const int file = shm_open(id.name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared))) return refuse(SYSTEM_ERROR, "shared memory");
  Shared *shared = (Shared *)mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared == MAP_FAILED) return refuse(SYSTEM_ERROR, "shared memory");
  Communicator *c = new Communicator{shared, rank, ranks, OK, 0, false};
  __atomic_fetch_add(&shared->joined, 1, __ATOMIC_SEQ_CST);
  if (!wait_for(*c, [=] { return shared->joined >= ranks; })) return refuse(TIMEOUT, "not all ranks joined");
  shm_unlink(id.name); // whoever has joined keeps it
  return *out = c, OK;
}

// --- Elements ---

static size_t bytes_of(int type) { return type == F64 ? 8 : type == BF16 ? 2 : type == I8 || type == U8 ? 1 : 4; }

static double load(const char *p, int type, size_t i) {
  switch (type) {
    case I8: return ((const int8_t *)p)[i];
    case U8: return ((const uint8_t *)p)[i];
    case I32: return ((const int32_t *)p)[i];
    case F64: return ((const double *)p)[i];
    case F32: return ((const float *)p)[i];
    default: {
      const uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
      float value;
      memcpy(&value, &bits, 4);
      return value;
    }
  }
}
static void store(char *p, int type, size_t i, double number) {
  switch (type) {
    case I8: ((int8_t *)p)[i] = (int8_t)number; return;
    case U8: ((uint8_t *)p)[i] = (uint8_t)number; return;
    case I32: ((int32_t *)p)[i] = (int32_t)number; return;
    case F64: ((double *)p)[i] = number; return;
    case F32: ((float *)p)[i] = (float)number; return;
    default: {
      const float value = (float)number;
      uint32_t bits;
      memcpy(&bits, &value, 4);
      ((uint16_t *)p)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
  }
}
static double combine(int op, double a, double b) {
  return op == PRODUCT ? a * b : op == MAX ? (a > b ? a : b) : op == MIN ? (a < b ? a : b) : a + b;
}

// --- Exchanges ---

// All ranks show their bytes piece by piece; use(rank, at, bytes, piece) sees each in the order of ranks.
template <class Use> static int exchange(Communicator *c, const char *from, size_t bytes, Use use) {
  Shared &shared = *c->shared;
  for (size_t at = 0; at < bytes; at += PIECE, c->step++) {
    const size_t part = bytes - at < PIECE ? bytes - at : PIECE;
    memcpy(shared.pieces[c->rank], from + at, part);
    __atomic_store_n(&shared.shown[c->rank], c->step + 1, __ATOMIC_SEQ_CST);
    for (int rank = 0; rank < c->ranks; rank++) {
      if (!wait_for(*c, [&] { return shared.shown[rank] > c->step; })) return REMOTE_ERROR;
      use(rank, at, part, shared.pieces[rank]);
    }
    __atomic_store_n(&shared.read[c->rank], c->step + 1, __ATOMIC_SEQ_CST);
    for (int rank = 0; rank < c->ranks; rank++)
      if (!wait_for(*c, [&] { return shared.read[rank] > c->step; })) return REMOTE_ERROR;
  }
  return OK;
}

static int check(Communicator *c, const char *from, size_t sent, const char *to, size_t received, int type) {
  if (!c || c->aborted) return refuse(INVALID_ARGUMENT, "the group was left");
  if (type != I8 && type != U8 && type != I32 && type != F32 && type != F64 && type != BF16)
    return refuse(INVALID_ARGUMENT, "element type");
  if (sent && (!is_allocated((uintptr_t)from, sent) || !is_allocated((uintptr_t)to, received)))
    return refuse(INVALID_ARGUMENT, "memory that is not the device's");
  return OK;
}

static int start(Communicator *c, Stream *stream, std::function<int()> work) {
  enqueue(stream, [=] { return c->status == OK ? c->status = work() : OK, OK; });
  return OK; // what fails is told by ncclCommGetAsyncError
}

static int reduce(Communicator *c, const char *from, char *to, size_t count, size_t first, size_t kept, int type,
                  int op, Stream *stream) {
  return start(c, stream, [=] {
    std::vector<char> sums(count * bytes_of(type));
    const int status = exchange(c, from, sums.size(), [&](int rank, size_t at, size_t bytes, const char *piece) {
      for (size_t i = 0, begin = at / bytes_of(type); i < bytes / bytes_of(type); i++) {
        const double number = load(piece, type, i);
        store(sums.data(), type, begin + i, rank ? combine(op, load(sums.data(), type, begin + i), number) : number);
      }
    });
    if (status != OK) return status;
    for (size_t i = 0; i < kept; i++) {
      const double sum = load(sums.data(), type, first + i);
      store(to, type, i, op == AVERAGE ? sum / c->ranks : sum);
    }
    return (int)OK;
  });
}

EXPORT int ncclAllReduce(const char *from, char *to, size_t count, int type, int op, Communicator *c, Stream *stream) {
  if (const int status = planted_failure("ncclAllReduce")) return refuse(status, "planted");
  const size_t bytes = count * bytes_of(type);
  if (const int status = check(c, from, bytes, to, bytes, type)) return status;
  return reduce(c, from, to, count, 0, count, type, op, stream);
}
EXPORT int ncclReduceScatter(const char *from, char *to, size_t count, int type, int op, Communicator *c,
                             Stream *stream) {
  const size_t bytes = count * bytes_of(type);
  if (const int status = check(c, from, bytes * (size_t)(c ? c->ranks : 0), to, bytes, type)) return status;
  return reduce(c, from, to, count * (size_t)c->ranks, count * (size_t)c->rank, count, type, op, stream);
}
EXPORT int ncclAllGather(const char *from, char *to, size_t count, int type, Communicator *c, Stream *stream) {
  const size_t bytes = count * bytes_of(type);
  if (const int status = check(c, from, bytes, to, bytes * (size_t)(c ? c->ranks : 0), type)) return status;
  return start(c, stream, [=] {
    const std::vector<char> sent(from, from + bytes); // the result may lie over it
    return exchange(c, sent.data(), bytes, [&](int rank, size_t at, size_t part, const char *piece) {
      memcpy(to + (size_t)rank * bytes + at, piece, part);
    });
  });
}
EXPORT int ncclBroadcast(const char *from, char *to, size_t count, int type, int root, Communicator *c,
                         Stream *stream) {
  const size_t bytes = count * bytes_of(type);
  if (c && (root < 0 || root >= c->ranks)) return refuse(INVALID_ARGUMENT, "root");
  if (const int status = check(c, from, bytes, to, bytes, type)) return status;
  return start(c, stream, [=] {
    return exchange(c, from, bytes, [&](int rank, size_t at, size_t part, const char *piece) {
      if (rank == root) memcpy(to + at, piece, part);
    });
  });
}

// Calls between start and end are done one after the other, which is right as long as a rank is a process.
EXPORT int ncclGroupStart() { return OK; }
EXPORT int ncclGroupEnd() { return planted_failure("ncclGroupEnd"); }

EXPORT int ncclCommGetAsyncError(Communicator *c, int *status) { return *status = c->status, OK; }
EXPORT int ncclCommAbort(Communicator *c) { return c->aborted = true, c->shared->failed = 1, OK; }
EXPORT int ncclCommDestroy(Communicator *c) {
  finish_streams();
  munmap(c->shared, sizeof(Shared));
  return delete c, OK;
}
