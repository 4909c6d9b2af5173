// What the parts of the simulated cuDNN share: descriptors with their attributes, and the tensors they describe.
#pragma once
#include "runtime.h"
#include <map>
#include <vector>

enum Kind {
  POINTWISE = 0,
  ENGINE_CONFIG = 3,
  HEURISTICS = 4,
  PLAN = 5,
  POINTWISE_OP = 13,
  GRAPH = 15,
  PACK = 16,
  TENSOR = 17,
  MATMUL = 18,
  MATMUL_OP = 19,
  REDUCTION = 21,
  REDUCTION_OP = 22,
  RESHAPE_OP = 31,
  ATTENTION_OP = 41,
  BAND_MASK_OP = 44,
  SOFTMAX_OP = 45,
};

// A descriptor and its attributes, by their numbers.
struct Descriptor {
  int kind;
  bool finalized = false;
  std::map<int, std::vector<char>> attributes;

  bool has(int name) const { return attributes.count(name) > 0; }
  template <class T> std::vector<T> all(int name) const {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return {};
    std::vector<T> values(found->second.size() / sizeof(T));
    memcpy(values.data(), found->second.data(), values.size() * sizeof(T));
    return values;
  }
  template <class T = int64_t> T one(int name) const { return all<T>(name).at(0); }
  Descriptor *part(int name) const { return has(name) ? one<Descriptor *>(name) : nullptr; }
};

// How a tensor lies, as its descriptor says.
struct Layout {
  std::vector<int64_t> shape, strides;
  int type;
  int64_t id;
  bool is_virtual, by_value;
  int64_t size() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  int64_t place(const int64_t at[4]) const {
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) sum += at[i] * strides[(size_t)i];
    return sum;
  }
};
static inline Layout layout_of(const Descriptor &d) {
  return {d.all<int64_t>(902), d.all<int64_t>(903), d.one<int>(901), d.one(906), d.has(907) && d.one<char>(907),
          d.has(908) && d.one<char>(908)};
}
enum { T_F32 = 0, T_I32 = 4, T_BF16 = 9, T_BOOLEAN = 11 };


// Computes the operations of a graph one after the other. `values` are tensors that are numbers, by their ids, and
// `pointers` where the others lie.
void compute_graph(const Descriptor &graph, const std::map<int64_t, char *> &pointers,
                   const std::map<int64_t, double> &values);
