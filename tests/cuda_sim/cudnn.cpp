// libcudnn's graph interface: descriptors are checked as strictly as the library does. Only what the rules below say is
// known.
#include "cudnn.h"
#include <cstdio>

enum { BAD_PARAM = 2000, NOT_FINALIZED = 2004, SHAPE_MISMATCH = 2008, WRONG_TYPE = 2010, NOT_SUPPORTED = 3000 };

// Types of attributes, and the bytes of an element.
enum Type { HANDLE = 0, DATA_TYPE = 1, BOOLEAN = 2, INT64 = 3, FLOAT = 4, POINTER = 6, HEURISTIC = 8, MODE = 14,
            DESCRIPTOR = 15, REDUCE = 18 };
static size_t bytes_of(int type) {
  return type == BOOLEAN ? 1 : type == HANDLE || type == INT64 || type == POINTER || type == DESCRIPTOR ? 8 : 4;
}

// What an attribute must be: its type, how many (0 for any number), and for descriptors of which kind.
struct Rule {
  int name, type, count;
  bool needed;
  int kind;
};
static const std::map<int, std::vector<Rule>> rules = {
    {POINTWISE, {{0, MODE, 1, true, 0}, {1, DATA_TYPE, 1, true, 0}, {9, INT64, 1, false, 0}}},
    {HEURISTICS, {{200, HEURISTIC, 1, true, 0}, {201, DESCRIPTOR, 1, true, GRAPH}}},
    {PLAN, {{400, HANDLE, 1, true, 0}, {401, DESCRIPTOR, 1, true, ENGINE_CONFIG}}},
    {POINTWISE_OP,
     {{750, DESCRIPTOR, 1, true, POINTWISE}, {751, DESCRIPTOR, 1, true, TENSOR}, {752, DESCRIPTOR, 1, false, TENSOR},
      {753, DESCRIPTOR, 1, true, TENSOR}, {754, FLOAT, 1, false, 0}, {755, FLOAT, 1, false, 0},
      {758, DESCRIPTOR, 1, false, TENSOR}}},
    {GRAPH, {{800, HANDLE, 1, false, 0}, {801, DESCRIPTOR, 0, true, -1}}},
    {PACK, {{1000, INT64, 0, true, 0}, {1001, POINTER, 0, true, 0}, {1003, POINTER, 1, true, 0}}},
    {TENSOR,
     {{900, INT64, 1, true, 0}, {901, DATA_TYPE, 1, true, 0}, {902, INT64, 4, true, 0}, {903, INT64, 4, true, 0},
      {906, INT64, 1, true, 0}, {907, BOOLEAN, 1, false, 0}, {908, BOOLEAN, 1, false, 0}}},
    {MATMUL, {{1500, DATA_TYPE, 1, true, 0}}},
    {MATMUL_OP,
     {{1520, DESCRIPTOR, 1, true, TENSOR}, {1521, DESCRIPTOR, 1, true, TENSOR}, {1522, DESCRIPTOR, 1, true, TENSOR},
      {1523, DESCRIPTOR, 1, true, MATMUL}}},
    {REDUCTION, {{1600, REDUCE, 1, true, 0}, {1601, DATA_TYPE, 1, true, 0}}},
    {REDUCTION_OP,
     {{1610, DESCRIPTOR, 1, true, TENSOR}, {1611, DESCRIPTOR, 1, true, TENSOR},
      {1612, DESCRIPTOR, 1, true, REDUCTION}}},
    {RESHAPE_OP, {{2200, DESCRIPTOR, 1, true, TENSOR}, {2201, DESCRIPTOR, 1, true, TENSOR}}},
    {ATTENTION_OP,
     {{2800, DESCRIPTOR, 1, true, TENSOR}, {2801, DESCRIPTOR, 1, true, TENSOR}, {2802, DESCRIPTOR, 1, true, TENSOR},
      {2803, DESCRIPTOR, 1, true, TENSOR}, {2805, DESCRIPTOR, 1, false, TENSOR}, {2811, DESCRIPTOR, 1, false, GRAPH},
      {2812, INT64, 1, false, 0}, {2813, INT64, 1, false, 0}, {2814, DESCRIPTOR, 1, false, SOFTMAX_OP}}},
    {BAND_MASK_OP,
     {{3000, DESCRIPTOR, 1, true, TENSOR}, {3005, DESCRIPTOR, 1, true, TENSOR}, {3006, DESCRIPTOR, 1, true, TENSOR},
      {3007, MODE, 1, true, 0}}},
    {SOFTMAX_OP,
     {{3100, DESCRIPTOR, 1, true, TENSOR}, {3101, DESCRIPTOR, 1, true, TENSOR}, {3102, DESCRIPTOR, 1, false, TENSOR}}},
};

static std::string reason;
static int refuse(int status, const std::string &why) { return reason = why, status; }

static size_t version() {
  const std::string given = setting("CUDASIM_CUDNN");
  return given.empty() ? 91900 : (size_t)atoi(given.c_str());
}

// --- Descriptors ---

static const Rule *rule_of(const Descriptor &d, int name) {
  for (const Rule &rule : rules.at(d.kind))
    if (rule.name == name) return &rule;
  return nullptr;
}

static std::string label(const Descriptor &d, int name) {
  return "attribute " + std::to_string(name) + " of a descriptor of kind " + std::to_string(d.kind);
}

EXPORT int cudnnBackendCreateDescriptor(int kind, Descriptor **out) {
  const bool known = rules.count(kind) || kind == ENGINE_CONFIG;
  const size_t since = kind == ATTENTION_OP ? 91300 : kind == BAND_MASK_OP || kind == SOFTMAX_OP ? 92000 : 0;
  if (!known || version() < since) return refuse(NOT_SUPPORTED, "descriptors of kind " + std::to_string(kind));
  return *out = new Descriptor{kind, false, {}}, OK;
}
EXPORT int cudnnBackendDestroyDescriptor(Descriptor *d) { return delete d, OK; }

EXPORT int cudnnBackendSetAttribute(Descriptor *d, int name, int type, int64_t count, const char *values) {
  if (d->finalized) return refuse(BAD_PARAM, label(*d, name) + " is set after it was finalized");
  const Rule *rule = d->kind == ENGINE_CONFIG ? nullptr : rule_of(*d, name);
  if (!rule) return refuse(NOT_SUPPORTED, label(*d, name) + " is not known");
  if (rule->type != type) return refuse(WRONG_TYPE, label(*d, name) + " has type " + std::to_string(rule->type));
  if (count < 1 || (rule->count && count != rule->count)) return refuse(BAD_PARAM, label(*d, name) + ": their number");
  if (d->has(name)) return refuse(BAD_PARAM, label(*d, name) + " is set twice");
  for (int64_t i = 0; type == DESCRIPTOR && i < count; i++) {
    const Descriptor *part = ((Descriptor *const *)values)[i];
    if (!part->finalized) return refuse(NOT_FINALIZED, label(*d, name) + " is not finalized");
    const bool fits = rule->kind < 0 ? part->kind >= POINTWISE_OP && part->kind != TENSOR : part->kind == rule->kind;
    if (!fits) return refuse(BAD_PARAM, label(*d, name) + " is of kind " + std::to_string(part->kind));
  }
  d->attributes[name].assign(values, values + (size_t)count * bytes_of(type));
  return OK;
}

// --- What fits what ---

static int check_tensor(const Descriptor &d) {
  const Layout t = layout_of(d);
  for (size_t i = 0; i < 4; i++)
    if (t.shape[i] < 1 || t.strides[i] < 1) return refuse(BAD_PARAM, "a tensor has an empty axis or a stride below 1");
  if (t.type != T_F32 && t.type != T_I32 && t.type != T_BF16 && t.type != T_BOOLEAN)
    return refuse(NOT_SUPPORTED, "element type " + std::to_string(t.type));
  if (t.is_virtual && t.by_value) return refuse(BAD_PARAM, "a tensor is virtual and a value");
  return OK;
}

static int check_matmul(const Descriptor &d) {
  const Layout a = layout_of(*d.part(1520)), b = layout_of(*d.part(1521)), c = layout_of(*d.part(1522));
  const bool fits = a.shape[3] == b.shape[2] && c.shape[2] == a.shape[2] && c.shape[3] == b.shape[3] &&
                    c.shape[0] == a.shape[0] && c.shape[0] == b.shape[0] && c.shape[1] % a.shape[1] == 0 &&
                    c.shape[1] % b.shape[1] == 0;
  return fits ? OK : refuse(SHAPE_MISMATCH, "the matrices of a product");
}

static int check_pointwise(const Descriptor &d) {
  const Layout x = layout_of(*d.part(751)), y = layout_of(*d.part(753));
  const int mode = d.part(750)->one<int>(0);
  const bool binary = mode == 0 || mode == 1 || mode == 6 || mode == 9 || mode == 303 || mode == 601;
  const bool unary = mode == 13 || mode == 15 || mode == 501;
  if (!binary && !unary) return refuse(NOT_SUPPORTED, "pointwise mode " + std::to_string(mode));
  if (binary != d.has(752) || (mode == 601) != d.has(758)) return refuse(BAD_PARAM, "pointwise operands");
  if ((mode == 501) != d.part(750)->has(9)) return refuse(BAD_PARAM, "the axis of an index");
  if (x.shape != y.shape) return refuse(SHAPE_MISMATCH, "a pointwise operation");
  if (mode == 501 && y.type != T_I32) return refuse(WRONG_TYPE, "an index is i32");
  if (mode == 303 && y.type != T_BOOLEAN) return refuse(WRONG_TYPE, "a comparison is boolean");
  for (const int other : {752, 758}) {
    if (!d.has(other)) continue;
    const Layout b = layout_of(*d.part(other));
    for (size_t i = 0; i < 4; i++)
      if (b.shape[i] != x.shape[i] && b.shape[i] != 1) return refuse(SHAPE_MISMATCH, "a pointwise operand");
  }
  return OK;
}

static int check_reduction(const Descriptor &d) {
  const Layout x = layout_of(*d.part(1610)), y = layout_of(*d.part(1611));
  for (size_t i = 0; i < 4; i++)
    if (x.shape[i] % y.shape[i]) return refuse(SHAPE_MISMATCH, "a reduction");
  return OK;
}

static int check_attention(const Descriptor &d) {
  if (version() < 92100 && (d.has(2811) || d.has(2814))) return refuse(NOT_SUPPORTED, "masks before 9.21");
  if (d.has(2811) != d.has(2812) || d.has(2811) != d.has(2813)) return refuse(BAD_PARAM, "a mask without ends");
  const Layout q = layout_of(*d.part(2800)), k = layout_of(*d.part(2801)), v = layout_of(*d.part(2802));
  const bool fits = q.shape[0] == k.shape[0] && k.shape == v.shape && q.shape[3] == k.shape[3] &&
                    q.shape[1] % k.shape[1] == 0 && layout_of(*d.part(2803)).shape == q.shape;
  return fits ? OK : refuse(SHAPE_MISMATCH, "queries, keys and values");
}

static int check(const Descriptor &d) {
  for (const Rule &rule : rules.at(d.kind))
    if (rule.needed && !d.has(rule.name)) return refuse(BAD_PARAM, label(d, rule.name) + " is missing");
  switch (d.kind) {
    case TENSOR: return check_tensor(d);
    case MATMUL_OP: return check_matmul(d);
    case POINTWISE_OP: return check_pointwise(d);
    case REDUCTION_OP: return check_reduction(d);
    case ATTENTION_OP: return check_attention(d);
    case RESHAPE_OP:
      if (layout_of(*d.part(2200)).size() == layout_of(*d.part(2201)).size()) return OK;
      return refuse(SHAPE_MISMATCH, "a reshape");
    case PACK:
      return d.all<int64_t>(1000).size() == d.all<char *>(1001).size() ? OK : refuse(BAD_PARAM, "ids and pointers");
    case PLAN: return planted_failure("cudnnPlan");
    default: return OK;
  }
}

EXPORT int cudnnBackendFinalize(Descriptor *d) {
  if (d->finalized) return refuse(BAD_PARAM, "it is finalized twice");
  const int status = check(*d);
  return d->finalized = status == OK, status;
}

// Working space that an engine asks for, so that whoever gives none is noticed.
static constexpr int64_t WORKSPACE = 256;

EXPORT int cudnnBackendGetAttribute(Descriptor *d, int name, int type, int64_t room, int64_t *count, char *out) {
  if (!d->finalized) return refuse(NOT_FINALIZED, "what is read");
  *count = 0;
  if (d->kind == HEURISTICS && name == 202 && type == DESCRIPTOR) {
    if (room < 1) return OK;
    Descriptor *config = *(Descriptor **)out;
    config->attributes[201] = d->attributes[201];
    return config->finalized = true, *count = 1, OK;
  }
  if (d->kind == PLAN && name == 402 && type == INT64 && room == 1) return memcpy(out, &WORKSPACE, 8), *count = 1, OK;
  return refuse(NOT_SUPPORTED, label(*d, name) + " cannot be read");
}

// --- Running ---

// Tensors in memory that a graph names: those must be in the pack, and lie where they may.
static void collect(const Descriptor &d, std::map<int64_t, Layout> &tensors) {
  for (const Rule &rule : rules.at(d.kind)) {
    if (rule.type != DESCRIPTOR) continue;
    for (const Descriptor *part : d.all<Descriptor *>(rule.name)) {
      if (part->kind != TENSOR) collect(*part, tensors);
      else if (const Layout t = layout_of(*part); !t.is_virtual) tensors[t.id] = t;
    }
  }
}

static int check_memory(const Layout &t, const char *at) {
  if (t.by_value) return OK;
  int64_t last[4];
  for (size_t i = 0; i < 4; i++) last[i] = t.shape[i] - 1;
  const size_t bytes = (size_t)(t.place(last) + 1) * (t.type == T_BF16 ? 2 : 4);
  if ((uintptr_t)at % 16) return refuse(BAD_PARAM, "a tensor is not aligned to 16 bytes");
  return is_allocated((uintptr_t)at, bytes) ? OK : refuse(BAD_PARAM, "a tensor lies outside of the device's memory");
}

struct Cudnn {
  Stream *stream = nullptr;
};

EXPORT int cudnnBackendExecute(Cudnn *handle, Descriptor *plan, Descriptor *pack) {
  if (!plan->finalized || !pack->finalized) return refuse(NOT_FINALIZED, "a plan or pack");
  if (const int status = planted_failure("cudnnBackendExecute")) return refuse(status, "planted");
  const Descriptor *graph = plan->part(401)->part(201);
  const std::vector<int64_t> ids = pack->all<int64_t>(1000);
  const std::vector<char *> pointers = pack->all<char *>(1001);
  std::map<int64_t, char *> at;
  std::map<int64_t, double> values;
  for (size_t i = 0; i < ids.size(); i++) at[ids[i]] = pointers[i];
  std::map<int64_t, Layout> tensors;
  collect(*graph, tensors);
  for (const auto &[id, t] : tensors) {
    if (!at.count(id)) return refuse(BAD_PARAM, "the pack lacks tensor " + std::to_string(id));
    if (const int status = check_memory(t, at[id])) return status;
    if (t.by_value) values[id] = *(float *)at[id];
  }
  if (!is_allocated((uintptr_t)pack->one<char *>(1003), WORKSPACE)) return refuse(BAD_PARAM, "a workspace too small");
  return enqueue(handle->stream, [=] { return compute_graph(*graph, at, values), OK; });
}

EXPORT size_t cudnnGetVersion() { return version(); }
EXPORT int cudnnCreate(Cudnn **handle) {
  if (const int status = planted_failure("cudnnCreate")) return refuse(status, "");
  return *handle = new Cudnn, OK;
}
EXPORT int cudnnSetStream(Cudnn *handle, Stream *stream) { return handle->stream = stream, OK; }
EXPORT void cudnnGetLastErrorString(char *text, size_t bytes) { snprintf(text, bytes, "%s", reason.c_str()); }
EXPORT const char *cudnnGetErrorString(int status) {
  switch (status) {
    case 1001: return "CUDNN_STATUS_NOT_INITIALIZED";
    case 1002: return "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH";
    case NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case SHAPE_MISMATCH: return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case NOT_FINALIZED: return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    default: return status / 1000 == 2 ? "CUDNN_STATUS_BAD_PARAM" : "CUDNN_STATUS_EXECUTION_FAILED";
  }
}
