// Graphs of the simulated cuDNN, computed operation by operation in double precision.
#include "cudnn.h"
#include <cmath>

// A tensor's numbers in row-major order.
typedef std::vector<double> Numbers;

struct Run {
  std::map<int64_t, char *> pointers;
  std::map<int64_t, Numbers> numbers; // by id

  static void unravel(int64_t i, const std::vector<int64_t> &shape, int64_t at[4]) {
    for (int axis = 3; axis >= 0; axis--) at[axis] = i % shape[(size_t)axis], i /= shape[(size_t)axis];
  }
  static int64_t ravel(const int64_t at[4], const std::vector<int64_t> &shape) {
    return ((at[0] * shape[1] + at[1]) * shape[2] + at[2]) * shape[3] + at[3];
  }
  static float as_f32(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
  }
  static uint16_t as_bf16(double number) {
    const float value = (float)number;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return value != value ? 0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }

  const Numbers &get(const Descriptor &d) {
    const Layout t = layout_of(d);
    const auto found = numbers.find(t.id);
    if (found != numbers.end()) return found->second;
    Numbers values((size_t)t.size());
    const char *from = pointers.at(t.id);
    for (int64_t i = 0; i < t.size(); i++) {
      int64_t at[4];
      unravel(i, t.shape, at);
      const int64_t place = t.place(at);
      const bool narrow = t.type == T_BF16;
      values[(size_t)i] =
          narrow ? as_f32((uint32_t)((const uint16_t *)from)[place] << 16) : ((const float *)from)[place];
    }
    return numbers[t.id] = values;
  }

  // Keeps a result, rounded to its type; writes it to memory unless it is virtual.
  void put(const Descriptor &d, Numbers values) {
    const Layout t = layout_of(d);
    for (double &value : values)
      value = t.type == T_BF16 ? as_f32((uint32_t)as_bf16(value) << 16) : (float)value;
    if (!t.is_virtual) {
      char *to = pointers.at(t.id);
      for (int64_t i = 0; i < t.size(); i++) {
        int64_t at[4];
        unravel(i, t.shape, at);
        if (t.type == T_BF16) ((uint16_t *)to)[t.place(at)] = as_bf16(values[(size_t)i]);
        else ((float *)to)[t.place(at)] = (float)values[(size_t)i];
      }
    }
    numbers[t.id] = values;
  }

  // The number of b that goes with a place of a tensor it is spread over; axes of b may be divisors.
  static double spread(const Numbers &values, const std::vector<int64_t> &shape, const int64_t at[4],
                       const std::vector<int64_t> &of) {
    int64_t place[4];
    for (size_t i = 0; i < 4; i++) place[i] = at[i] * shape[i] / of[i];
    return values[(size_t)ravel(place, shape)];
  }

  static Numbers multiply(const Numbers &a, const Layout &ta, const Numbers &b, const Layout &tb, const Layout &tc) {
    Numbers c((size_t)tc.size());
    const int64_t rows = ta.shape[2], inner = ta.shape[3], columns = tb.shape[3];
    for (int64_t n = 0; n < tc.shape[0]; n++)
      for (int64_t h = 0; h < tc.shape[1]; h++) {
        const double *x = &a[(size_t)((n * ta.shape[1] + h * ta.shape[1] / tc.shape[1]) * rows * inner)];
        const double *y = &b[(size_t)((n * tb.shape[1] + h * tb.shape[1] / tc.shape[1]) * inner * columns)];
        double *z = &c[(size_t)((n * tc.shape[1] + h) * rows * columns)];
        for (int64_t i = 0; i < rows; i++)
          for (int64_t l = 0; l < inner; l++)
            for (int64_t j = 0; j < columns; j++) z[i * columns + j] += x[i * inner + l] * y[l * columns + j];
      }
    return c;
  }

  void pointwise(const Descriptor &op) {
    const Layout x = layout_of(*op.part(751));
    const Numbers &from = get(*op.part(751));
    const Descriptor *b = op.part(752), *choice = op.part(758);
    const int mode = op.part(750)->one<int>(0);
    const int64_t axis = mode == 501 ? op.part(750)->one(9) : 0;
    Numbers y(from.size());
    for (int64_t i = 0; i < x.size(); i++) {
      int64_t at[4];
      unravel(i, x.shape, at);
      const double u = from[(size_t)i], w = b ? spread(get(*b), layout_of(*b).shape, at, x.shape) : 0;
      double &out = y[(size_t)i];
      switch (mode) {
        case 0: out = u + w; break;
        case 1: out = u * w; break;
        case 6: out = u / w; break;
        case 9: out = u - w; break;
        case 13: out = exp(u); break;
        case 15: out = log(u); break;
        case 303: out = u >= w; break;
        case 501: out = (double)at[axis]; break;
        default: out = spread(get(*choice), layout_of(*choice).shape, at, x.shape) != 0 ? u : w;
      }
    }
    put(*op.part(753), y);
  }

  void reduce(const Descriptor &op) {
    const Layout x = layout_of(*op.part(1610)), y = layout_of(*op.part(1611));
    const Numbers &from = get(*op.part(1610));
    const bool largest = op.part(1612)->one<int>(1600) == 3;
    Numbers to((size_t)y.size(), largest ? -INFINITY : 0);
    for (int64_t i = 0; i < x.size(); i++) {
      int64_t at[4];
      unravel(i, x.shape, at);
      for (size_t axis = 0; axis < 4; axis++) at[axis] = at[axis] * y.shape[axis] / x.shape[axis];
      double &sum = to[(size_t)ravel(at, y.shape)];
      sum = largest ? fmax(sum, from[(size_t)i]) : sum + from[(size_t)i];
    }
    put(*op.part(1611), to);
  }

  // The same memory by the strides of the result.
  void reshape(const Descriptor &op) {
    const Layout x = layout_of(*op.part(2200)), y = layout_of(*op.part(2201));
    const Numbers &from = get(*op.part(2200));
    std::map<int64_t, double> memory;
    int64_t at[4];
    for (int64_t i = 0; i < x.size(); i++) unravel(i, x.shape, at), memory[x.place(at)] = from[(size_t)i];
    Numbers to((size_t)y.size());
    for (int64_t i = 0; i < y.size(); i++) unravel(i, y.shape, at), to[(size_t)i] = memory.at(y.place(at));
    put(*op.part(2201), to);
  }

  void hide_above(const Descriptor &op) {
    const Layout x = layout_of(*op.part(3000));
    Numbers y = get(*op.part(3000));
    const double hidden = get(*op.part(3005))[0];
    for (int64_t i = 0; i < x.size(); i++) {
      int64_t at[4];
      unravel(i, x.shape, at);
      if (at[2] < at[3]) y[(size_t)i] = hidden;
    }
    put(*op.part(3006), y);
  }

  void attend(const Descriptor &op) {
    const Descriptor &softmax = *op.part(2814);
    const Layout q = layout_of(*op.part(2800)), k = layout_of(*op.part(2801)), v = layout_of(*op.part(2802));
    const Layout scores = layout_of(*softmax.part(3100));
    Layout kt = k;
    std::swap(kt.shape[2], kt.shape[3]);
    Numbers transposed((size_t)k.size());
    const Numbers &keys = get(*op.part(2801));
    for (int64_t i = 0; i < k.size(); i++) {
      int64_t at[4];
      unravel(i, k.shape, at);
      std::swap(at[2], at[3]);
      transposed[(size_t)ravel(at, kt.shape)] = keys[(size_t)i];
    }
    Numbers s = multiply(get(*op.part(2800)), q, transposed, kt, scores);
    const double scale = op.has(2805) ? get(*op.part(2805))[0] : 1;
    for (double &score : s) score *= scale;
    if (op.has(2811)) {
      numbers[op.one(2812)] = s;
      compute(*op.part(2811));
      s = numbers.at(op.one(2813));
    }
    Numbers statistics((size_t)(q.size() / q.shape[3]));
    for (size_t row = 0, keys_of_row = (size_t)k.shape[2]; row < statistics.size(); row++) {
      double *first = &s[row * keys_of_row], top = -INFINITY, total = 0;
      for (size_t j = 0; j < keys_of_row; j++) top = fmax(top, first[j]);
      for (size_t j = 0; j < keys_of_row; j++) total += first[j] = exp(first[j] - top);
      for (size_t j = 0; j < keys_of_row; j++) first[j] /= total;
      statistics[row] = top + log(total);
    }
    if (softmax.has(3102)) put(*softmax.part(3102), statistics);
    put(*op.part(2803), multiply(s, scores, get(*op.part(2802)), v, layout_of(*op.part(2803))));
  }

  void compute(const Descriptor &graph) {
    for (const Descriptor *op : graph.all<Descriptor *>(801)) switch (op->kind) {
        case POINTWISE_OP: pointwise(*op); break;
        case REDUCTION_OP: reduce(*op); break;
        case RESHAPE_OP: reshape(*op); break;
        case BAND_MASK_OP: hide_above(*op); break;
        case ATTENTION_OP: attend(*op); break;
        default: {
          const Descriptor &a = *op->part(1520), &b = *op->part(1521), &c = *op->part(1522);
          put(c, multiply(get(a), layout_of(a), get(b), layout_of(b), layout_of(c)));
        }
      }
  }
};

void compute_graph(const Descriptor &graph, const std::map<int64_t, char *> &pointers,
                   const std::map<int64_t, double> &values) {
  Run run;
  run.pointers = pointers;
  for (const auto &[id, value] : values) run.numbers[id] = {value};
  run.compute(graph);
}
