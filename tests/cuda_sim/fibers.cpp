// Runs the threads of a block as fibers that take turns at barriers, in the order that was asked for. Whoever forgets a
// barrier then reads what a later thread has not written yet; whoever comes to different barriers is told so.
#include "runtime.h"
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <vector>

__attribute__((visibility("default"))) __thread Thread *sim_thread = nullptr;

static constexpr size_t STACK = 256 << 10;

#if defined(__x86_64__)
// Saves the registers that a function must keep, and goes on where `to` was left.
extern "C" void sim_switch(void **save, void *to);
asm(".text\n.globl sim_switch\n.type sim_switch,@function\nsim_switch:\n"
    " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n mov %rsi,%rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
#else
static thread_local ucontext_t contexts[1025];
static thread_local ucontext_t *running;
static void sim_switch(void **save, void *to) {
  ucontext_t *from = running;
  *save = from, running = (ucontext_t *)to;
  swapcontext(from, running);
}
#endif

struct Warp {
  uint32_t arrived = 0;
  uint64_t generation = 0;
  alignas(64) char slots[2][32][64]; // of this exchange and the one before, which slow lanes may still read
};

// One thread of the system, which runs one block at a time.
struct Worker {
  Block block;
  std::vector<Thread> threads;
  std::vector<char *> stacks;
  std::vector<Warp> warps;
  std::vector<unsigned> order, turn; // of threads; and the place of a thread in it
  unsigned alive, arrived, votes, last_votes, idle;
  const Kernel *kernel;
  void **parameters;
  void *main;
  int status;
};

static thread_local Worker *worker;
static std::mutex failure_lock;
static std::string failure;

void set_failure(const std::string &text) {
  const std::lock_guard<std::mutex> guard(failure_lock);
  failure = text;
}
const std::string &failure_text() { return failure; }

std::string setting(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

static std::string coordinates(uint3 at) {
  return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
}

std::string place() {
  return worker->kernel->name + ", block " + coordinates(worker->block.index) + ", thread " +
         std::to_string(sim_thread->number);
}

bool on_stack(uintptr_t address) {
  const char *stack = worker->stacks[sim_thread->number];
  return address - (uintptr_t)stack < STACK;
}

uint64_t warp_generation() { return worker->warps[sim_thread->warp].generation; }

static void leave(Thread *from, Thread *to) {
  sim_thread = to;
  void *ignored;
  sim_switch(from ? &from->stack_pointer : &worker->main, to ? to->stack_pointer : worker->main);
  (void)ignored;
}

static Thread *next_alive(const Thread *after) {
  const unsigned count = worker->block.threads, at = worker->turn[after->number];
  for (unsigned i = 1; i <= count; i++) {
    Thread *thread = &worker->threads[worker->order[(at + i) % count]];
    if (!thread->returned) return thread;
  }
  return nullptr;
}

[[noreturn]] static void end_launch(int status, const std::string &text) {
  set_failure(text);
  worker->status = status;
  leave(sim_thread, nullptr);
  abort();
}

EXPORT void sim_fail(int status, const char *what) { end_launch(status, place() + ": " + what); }

// Nobody moves any more: threads wait at different barriers.
[[noreturn]] static void report_divergence() {
  std::map<std::string, int> waiting;
  int returned = 0;
  for (const Thread &thread : worker->threads) {
    if (thread.returned) returned++;
    else waiting[thread.waits_at ? thread.waits_at : "nothing"]++;
  }
  std::string text = "barrier divergence: ";
  for (const auto &[name, count] : waiting) text += std::to_string(count) + " threads wait at " + name + ", ";
  sim_fail(LAUNCH_FAILED, (text + std::to_string(returned) + " have returned").c_str());
}

// Lets the others run until `passed`.
template <class Passed> static void wait_until(const char *name, Passed passed) {
  Thread *self = sim_thread;
  self->waits_at = name;
  while (!passed()) {
    if (++worker->idle > 2 * worker->block.threads + 4) report_divergence();
    Thread *next = next_alive(self);
    if (next != self) leave(self, next);
    sim_thread = self;
  }
  worker->idle = 0;
  self->waits_at = nullptr;
}

static void pass_barrier() {
  worker->block.barriers++;
  worker->arrived = 0;
  worker->last_votes = worker->votes;
  worker->votes = 0;
  worker->idle = 0;
}

EXPORT int sim_barrier(int predicate) {
  const uint64_t before = worker->block.barriers;
  worker->votes += predicate != 0;
  if (++worker->arrived == worker->alive) pass_barrier();
  else wait_until("__syncthreads", [&] { return worker->block.barriers != before; });
  return (int)worker->last_votes;
}

EXPORT const char *sim_exchange(uint32_t mask, const void *value, unsigned bytes, const char *name) {
  const Thread *self = sim_thread;
  Warp &warp = worker->warps[self->warp];
  const uint64_t before = warp.generation;
  char(*slots)[64] = warp.slots[before & 1];
  memcpy(slots[self->lane], value, bytes);
  warp.arrived |= 1u << self->lane;
  const unsigned left = worker->block.threads - self->warp * 32;
  const uint32_t needed = mask & (left >= 32 ? ~0u : (1u << left) - 1);
  if ((warp.arrived & needed) == needed) {
    warp.arrived = 0, warp.generation++, worker->idle = 0;
  } else {
    wait_until(name, [&] { return warp.generation != before; });
  }
  return slots[0];
}

static void run_thread() {
  Thread *self = sim_thread;
  worker->kernel->run(worker->parameters);
  self->returned = true;
  worker->alive--;
  worker->idle = 0;
  if (worker->alive && worker->arrived == worker->alive) pass_barrier();
  leave(self, worker->alive ? next_alive(self) : nullptr);
  abort();
}

static void prepare_stack(unsigned i, Thread &thread) {
#if defined(__x86_64__)
  // Not all at the same place of a page, where they would drive each other out of the processor's cache.
  void **top = (void **)(worker->stacks[i] + STACK - 64 - i % 64 * 576);
  top[0] = (void *)run_thread, top[1] = nullptr;
  thread.stack_pointer = top - 6; // room for the registers that sim_switch takes back
#else
  ucontext_t *context = &contexts[i];
  getcontext(context);
  context->uc_stack = {worker->stacks[i], 0, STACK};
  makecontext(context, run_thread, 0);
  thread.stack_pointer = context;
  running = &contexts[1024];
#endif
}

static void order_threads(unsigned block) {
  const unsigned count = worker->block.threads;
  const std::string order = setting("CUDASIM_ORDER");
  worker->order.resize(count), worker->turn.resize(count);
  for (unsigned i = 0; i < count; i++) worker->order[i] = order == "reverse" ? count - 1 - i : i;
  if (order == "shuffled") {
    uint32_t seed = block * 747796405u + 2891336453u;
    for (unsigned i = count - 1; i > 0; i--) {
      seed = seed * 1664525u + 1013904223u;
      std::swap(worker->order[i], worker->order[(seed >> 8) % (i + 1)]);
    }
  }
  for (unsigned i = 0; i < count; i++) worker->turn[worker->order[i]] = i;
}

static void run_block() {
  Block &block = worker->block;
  const unsigned count = block.threads;
  block.barriers = 0;
  worker->alive = count, worker->arrived = worker->votes = worker->idle = 0, worker->status = OK;
  worker->warps.assign((count + 31) / 32, Warp());
  order_threads(block.number);
  for (unsigned i = 0; i < count; i++) {
    Thread &thread = worker->threads[i];
    thread.index = {i % block.size.x, i / block.size.x % block.size.y, i / (block.size.x * block.size.y)};
    thread.number = i, thread.lane = i % 32, thread.warp = i / 32, thread.block = &block;
    thread.returned = false, thread.waits_at = nullptr, thread.copy_count = thread.group_count = 0;
    prepare_stack(i, thread);
  }
  leave(nullptr, &worker->threads[worker->order[0]]);
  sim_thread = nullptr;
}

// --- Faults of the processor inside a kernel become errors of the launch ---

static thread_local int fault_status;
static thread_local uintptr_t fault_address;
static struct sigaction previous[3];

[[noreturn]] static void report_fault() {
  if (fault_status == MISALIGNED) sim_fail(MISALIGNED, "an access is not aligned to its size");
  sim_fail(ILLEGAL_ADDRESS, ("touches " + describe_address(fault_address)).c_str());
}

static void on_fault(int signal, siginfo_t *info, void *raw) {
  if (!sim_thread) { // not ours
    const int i = signal == SIGSEGV ? 0 : signal == SIGBUS ? 1 : 2;
    if (previous[i].sa_flags & SA_SIGINFO) return previous[i].sa_sigaction(signal, info, raw);
    sigaction(signal, &previous[i], nullptr);
    return;
  }
  fault_status = signal == SIGILL ? MISALIGNED : ILLEGAL_ADDRESS;
  fault_address = (uintptr_t)info->si_addr;
#if defined(__x86_64__)
  // Goes on in report_fault, on the stack of the fiber.
  ucontext_t *context = (ucontext_t *)raw;
  auto &registers = context->uc_mcontext.gregs;
  registers[REG_RSP] = ((registers[REG_RSP] - 256) & ~15ll) - 8;
  registers[REG_RIP] = (greg_t)report_fault;
#else
  fprintf(stderr, "cudasim: %s touches %s\n", place().c_str(), describe_address(fault_address).c_str());
  _exit(139);
#endif
}

static void catch_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    const int signals[3] = {SIGSEGV, SIGBUS, SIGILL};
    for (int i = 0; i < 3; i++) {
      struct sigaction action = {};
      action.sa_sigaction = on_fault;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
      sigaction(signals[i], &action, &previous[i]);
    }
  });
}

// --- Launches ---

static void run_blocks(const Kernel &kernel, uint3 grid, uint3 size, unsigned shared_bytes, void **parameters,
                       std::atomic<uint64_t> &next, std::atomic<int> &status) {
  static thread_local Worker own;
  Worker *outer = worker;
  worker = &own;
  const unsigned count = size.x * size.y * size.z;
  while (own.stacks.size() < count)
    own.stacks.push_back((char *)mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  own.threads.resize(count);
  std::vector<char> shared(shared_bytes + 256);
  own.block.size = size, own.block.grid = grid, own.block.threads = count;
  own.block.dynamic_shared = (char *)(((uintptr_t)shared.data() + 127) & ~(uintptr_t)127);
  own.kernel = &kernel, own.parameters = parameters;
  const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
  for (uint64_t i; status == OK && (i = next++) < blocks;) {
    memset(own.block.dynamic_shared, 0xff, shared_bytes);
    own.block.index = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
                       (unsigned)(i / ((uint64_t)grid.x * grid.y))};
    own.block.number = (unsigned)i;
    run_block();
    if (own.status != OK) status = own.status;
  }
  worker = outer;
}

int run_kernel(const Kernel &kernel, uint3 grid, uint3 size, unsigned shared_bytes, void **parameters) {
  catch_faults();
  begin_checked_launch();
  const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
  std::atomic<uint64_t> next{0};
  std::atomic<int> status{OK};
  const auto work = [&] { run_blocks(kernel, grid, size, shared_bytes, parameters, next, status); };
  const std::string given = setting("CUDASIM_THREADS");
  const unsigned wanted = checking() || given.empty() ? 1 : (unsigned)atoi(given.c_str());
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < wanted && i < blocks; i++) helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers) helper.join();
  return status;
}
