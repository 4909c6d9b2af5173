// Streams, events and graphs. A stream does its work at once, or when somebody waits; one that is captured does nothing:
// what it is given becomes the nodes of a graph, which a launch of the graph puts on a stream again.
#include "runtime.h"
#include <chrono>
#include <deque>
#include <set>
#include <vector>

// Work in order.
struct Graph {
  std::vector<std::function<int()>> nodes;
};
struct Stream {
  std::deque<std::function<int()>> work;
  Graph *capture = nullptr;
  int mode = 0;
  bool spoilt = false; // a call that is not allowed was made during the capture
};
struct Event {
  bool done = true, captured = false, timed = false;
  Stream *stream = nullptr;
  std::chrono::steady_clock::time_point time;
};

static Stream default_stream;
static std::set<Stream *> streams;
// After a kernel has failed every call fails, as on a device.
static int sticky = OK;

static int run_one(Stream *stream) {
  const std::function<int()> work = std::move(stream->work.front());
  stream->work.pop_front();
  const int status = sticky == OK ? work() : sticky;
  if (status != OK && sticky == OK) sticky = status;
  return status;
}

static int finish(Stream *stream) {
  while (!stream->work.empty()) run_one(stream);
  return sticky;
}

void finish_streams() {
  finish(&default_stream);
  for (Stream *stream : streams) finish(stream);
}

bool is_captured(Stream *stream) { return stream && stream->capture; }

int enqueue(Stream *stream, std::function<int()> work) {
  if (sticky != OK) return sticky;
  if (!stream) stream = &default_stream;
  if (stream->spoilt) return CAPTURE_INVALIDATED;
  if (stream->capture) return stream->capture->nodes.push_back(std::move(work)), OK;
  stream->work.push_back(std::move(work));
  if (setting("CUDASIM_DELAY") == "1") return OK;
  while (!stream->work.empty()) run_one(stream);
  return OK; // what failed is told when somebody waits
}

// A call that a captured stream does not allow spoils the capture.
int refuse_while_captured(Stream *stream) {
  if (!is_captured(stream)) return OK;
  stream->spoilt = true;
  return CAPTURE_UNSUPPORTED;
}

// Calls that may wait for the device, such as for memory, are allowed while streams are captured in relaxed mode only.
int refuse_unsafe_call() {
  const int relaxed = 2;
  for (Stream *stream : streams)
    if (stream->mode != relaxed)
      if (const int status = refuse_while_captured(stream)) return status;
  return OK;
}

EXPORT int cuStreamCreate(Stream **stream, unsigned) {
  streams.insert(*stream = new Stream);
  return OK;
}
EXPORT int cuStreamSynchronize(Stream *stream) {
  if (const int status = planted_failure("cuStreamSynchronize")) return status;
  if (const int status = refuse_while_captured(stream)) return status;
  return finish(stream ? stream : &default_stream);
}
EXPORT int cuStreamQuery(Stream *stream) {
  if (!stream) stream = &default_stream;
  if (const int status = refuse_while_captured(stream)) return status;
  if (!stream->work.empty()) run_one(stream);
  return sticky != OK ? sticky : stream->work.empty() ? OK : NOT_READY;
}
EXPORT int cuEventCreate(Event **event, unsigned flags) {
  const unsigned disable_timing = 2;
  *event = new Event;
  (*event)->timed = !(flags & disable_timing);
  return OK;
}
EXPORT int cuEventRecord(Event *event, Stream *stream) {
  if (!stream) stream = &default_stream;
  event->captured = is_captured(stream);
  if (event->captured) return stream->spoilt ? CAPTURE_INVALIDATED : OK;
  event->done = false, event->stream = stream;
  return enqueue(stream, [=] { return event->time = std::chrono::steady_clock::now(), event->done = true, OK; });
}
EXPORT int cuEventSynchronize(Event *event) {
  if (event->captured) return CAPTURED_EVENT;
  while (!event->done && !event->stream->work.empty()) run_one(event->stream);
  return sticky;
}

EXPORT int cuEventElapsedTime(float *milliseconds, const Event *start, const Event *end) {
  if (!start->timed || !end->timed || start->captured || end->captured) return INVALID_HANDLE;
  if (!start->done || !end->done) return NOT_READY;
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return OK;
}

// --- Graphs ---

EXPORT int cuStreamBeginCapture_v2(Stream *stream, int mode) {
  if (const int status = planted_failure("cuStreamBeginCapture_v2")) return status;
  if (!stream) return CAPTURE_UNSUPPORTED; // the default stream
  if (stream->capture) return ILLEGAL_STATE;
  stream->capture = new Graph;
  stream->mode = mode, stream->spoilt = false;
  return OK;
}
EXPORT int cuStreamEndCapture(Stream *stream, Graph **graph) {
  *graph = nullptr;
  if (!is_captured(stream)) return ILLEGAL_STATE;
  if (stream->spoilt) delete stream->capture;
  else *graph = stream->capture;
  const int status = stream->spoilt ? CAPTURE_INVALIDATED : OK;
  stream->capture = nullptr, stream->spoilt = false;
  return status;
}
EXPORT int cuGraphGetNodes(const Graph *graph, void **, size_t *count) { return *count = graph->nodes.size(), OK; }
EXPORT int cuGraphInstantiateWithFlags(Graph **executable, const Graph *graph, uint64_t) {
  if (const int status = planted_failure("cuGraphInstantiateWithFlags")) return status;
  return *executable = new Graph(*graph), OK;
}
EXPORT int cuGraphLaunch(const Graph *executable, Stream *stream) {
  if (const int status = planted_failure("cuGraphLaunch")) return status;
  for (const std::function<int()> &node : executable->nodes)
    if (const int status = enqueue(stream, node)) return status;
  return sticky;
}
EXPORT int cuGraphDestroy(Graph *graph) { return delete graph, OK; }
EXPORT int cuGraphExecDestroy(Graph *executable) { return delete executable, OK; }

// Forgets that a kernel failed, and what was not done. There is no such call on a device.
EXPORT void cudasimReset() {
  for (Stream *stream : streams) {
    stream->work.clear();
    delete stream->capture;
    stream->capture = nullptr, stream->spoilt = false;
  }
  sticky = OK;
  set_failure("");
}
