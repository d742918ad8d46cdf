// Softmax, LogSoftmax, Hardmax.
#include <algorithm>
#include <array>
#include <cmath>

#include "axis_rows.h"
#include "kernels/array_functions.h"
#include "kernels/broadcast.h"
#include "kernels/kernel_list.h"
#include "kernels/scratch.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

// Neighbouring columns (of `inner`) that are worked on together.
constexpr int64_t tile = 64;

// One tile of `width` columns, `length` elements each, `stride` apart.
template <typename T>
struct Columns {
  const T* x;
  T* y;
  int64_t length, stride, width;
};

template <typename T>
using TileOf = std::array<T, tile>;

// The largest element of every column.
template <typename T>
TileOf<T> largest(const Columns<T>& c) {
  TileOf<T> top;
  std::copy(c.x, c.x + c.width, top.data());
  for (int64_t k = 1; k < c.length; ++k) {
    const T* row = c.x + k * c.stride;
    for (size_t j = 0; j < static_cast<size_t>(c.width); ++j)
      top[j] = row[j] > top[j] ? row[j] : top[j];
  }
  return top;
}

// y[i] = f(x[i], second).
template <typename T>
void with_one(ElementFunction f, const T* x, T second, T* y, int64_t n) {
  const void* operands[] = {x, &second};
  array_function<T>(f)(operands, 2, y, n);
}

// Rows that share a call of a vector function, at most.
constexpr int64_t rows_together = 64;

// Elements from which on a row is worth calls of its own.
constexpr int64_t long_row = 16;

// NaN, or the largest of all or of those that are not NaN.
template <typename T>
[[gnu::always_inline]] inline T top_of(const T* x, int64_t n) {
  if (n >= long_row) return largest_number(x, n);
  T top = x[0];
  for (int64_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

template <typename T>
[[gnu::always_inline]] inline void subtract(const T* x, T second, T* y, int64_t n) {
  if (n >= long_row) return with_one(ElementFunction::Sub, x, second, y, n);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] - second;
}

template <typename T>
[[gnu::always_inline]] inline double sum_of_row(const T* x, int64_t n) {
  if (n >= long_row) return sum_in_double(x, n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// exp(x - largest) / sum of it. Only differences enter, so nothing overflows. A NaN makes the sum
// one, and so the whole row.
struct SoftmaxRule {
  template <typename T>
  static void rows(const T* x, T* y, int64_t count, int64_t n) {
    if (n >= long_row) {
      for (int64_t r = 0; r < count; ++r, x += n, y += n) {
        const double sum = exp_and_sum(x, largest_number(x, n), y, n);
        with_one(ElementFunction::Mul, y, static_cast<T>(1 / sum), y, n);
      }
      return;
    }
    for (int64_t at = 0; at < count * n; at += n) subtract(x + at, top_of(x + at, n), y + at, n);
    vexp(y, y, count * n);
    for (int64_t r = 0; r < count; ++r, y += n) {
      const T scale = static_cast<T>(1 / sum_of_row(y, n));
      for (int64_t i = 0; i < n; ++i) y[i] *= scale;
    }
  }

  template <typename T>
  static void columns(const Columns<T>& c) {
    const TileOf<T> top = largest(c);
    const auto width = static_cast<size_t>(c.width);
    TileOf<double> sums{};
    for (int64_t k = 0; k < c.length; ++k) {
      const T* from = c.x + k * c.stride;
      T* to = c.y + k * c.stride;
      for (size_t j = 0; j < width; ++j) to[j] = from[j] - top[j];
      vexp(to, to, c.width);
      for (size_t j = 0; j < width; ++j) sums[j] += static_cast<double>(to[j]);
    }
    TileOf<T> scale;
    for (size_t j = 0; j < width; ++j) scale[j] = static_cast<T>(1 / sums[j]);
    for (int64_t k = 0; k < c.length; ++k) {
      T* to = c.y + k * c.stride;
      for (size_t j = 0; j < width; ++j) to[j] *= scale[j];
    }
  }

  // dx = y (dy - sum(y dy))
  static void gradient(GradientContext& g, int64_t axis) {
    ValueId weighted = g.mul(g.grad(0), g.output(0));
    ValueId sum = g.builder().reduce_sum(weighted, {axis}, true);
    g.set(0, g.minus(weighted, g.mul(g.output(0), sum)));
  }
};

// x - largest - log(sum of exp(x - largest))
struct LogSoftmaxRule {
  template <typename T>
  static void rows(const T* x, T* y, int64_t count, int64_t n) {
    Scratch scratch(static_cast<size_t>(count * n) * sizeof(T));
    T* part = scratch.as<T>();
    std::array<double, rows_together> sums;
    for (int64_t at = 0; at < count * n; at += n) subtract(x + at, top_of(x + at, n), y + at, n);
    vexp(y, part, count * n);
    for (int64_t r = 0; r < count; ++r) sums[static_cast<size_t>(r)] = sum_of_row(part + r * n, n);
    vlog(sums.data(), sums.data(), count);
    for (int64_t r = 0; r < count; ++r, y += n) {
      subtract(y, static_cast<T>(sums[static_cast<size_t>(r)]), y, n);
    }
  }

  template <typename T>
  static void columns(const Columns<T>& c) {
    const TileOf<T> top = largest(c);
    const auto width = static_cast<size_t>(c.width);
    TileOf<double> sums{};
    TileOf<T> part;
    for (int64_t k = 0; k < c.length; ++k) {
      const T* from = c.x + k * c.stride;
      for (size_t j = 0; j < width; ++j) part[j] = from[j] - top[j];
      vexp(part.data(), part.data(), c.width);
      for (size_t j = 0; j < width; ++j) sums[j] += static_cast<double>(part[j]);
    }
    vlog(sums.data(), sums.data(), c.width);
    for (size_t j = 0; j < width; ++j) part[j] = static_cast<T>(sums[j]);
    for (int64_t k = 0; k < c.length; ++k) {
      const T* from = c.x + k * c.stride;
      T* to = c.y + k * c.stride;
      for (size_t j = 0; j < width; ++j) to[j] = from[j] - top[j] - part[j];
    }
  }

  // dx = dy - exp(y) sum(dy)
  static void gradient(GradientContext& g, int64_t axis) {
    ValueId sum = g.builder().reduce_sum(g.grad(0), {axis}, true);
    g.set(0, g.minus(g.grad(0), g.mul(g.add("Exp", {g.output(0)}), sum)));
  }
};

// 1 at the first of the largest elements, 0 elsewhere.
struct HardmaxRule {
  template <typename T>
  static void rows(const T* x, T* y, int64_t count, int64_t n) {
    for (int64_t r = 0; r < count; ++r) columns(Columns<T>{x + r * n, y + r * n, n, 1, 1});
  }

  template <typename T>
  static void columns(const Columns<T>& c) {
    const TileOf<T> top = largest(c);
    std::array<bool, tile> found{};
    for (int64_t k = 0; k < c.length; ++k) {
      for (size_t j = 0; j < static_cast<size_t>(c.width); ++j) {
        const int64_t at = k * c.stride + static_cast<int64_t>(j);
        bool here = !found[j] && c.x[at] == top[j];
        found[j] |= here;
        c.y[at] = here ? T{1} : T{0};
      }
    }
  }
};

// Of elements as they lie: x, y.
template <typename T>
using SoftmaxKernel = Kernel<AxisSplit, const T*, T*>;

struct SoftmaxState final : KernelState {
  explicit SoftmaxState(const AxisSplit& s) : split(s) {}
  std::string_view kernel() const override { return name; }

  AxisSplit split;
  std::string_view name;
};

template <typename Rule>
class SoftmaxOp final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis whose elements are weighed against each other");
  }

  void infer(InferContext& c) const override {
    check_axis(c, axis_);
    infer_same(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<SoftmaxState>(AxisSplit(c.input(0).dims(), axis_));
    dispatch_float(c.input(0).dtype(),
                   [&]<typename T>() { state->name = chosen(kernels<T>, state->split).name; });
    return state;
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const AxisSplit& split = c.state<SoftmaxState>().split;
    if (x.size() == 0) return;
    dispatch_float(x.dtype(), [&]<typename T>() {
      chosen(kernels<T>, split).run(split, x.data<T>(), c.output(0).data<T>());
    });
  }

  void gradient(GradientContext& g) const override {
    if constexpr (requires { Rule::gradient(g, axis_); }) {
      Rule::gradient(g, axis_);
    } else {
      Op::gradient(g);
    }
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}}; }

 private:
  template <typename T>
  static void run_columns(const AxisSplit& s, const T* x, T* y) {
    const int64_t tiles = (s.inner + tile - 1) / tile;
    auto piece = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t column = unit % tiles * tile;
        const int64_t at = unit / tiles * s.length * s.inner + column;
        columns(Columns<T>{x + at, y + at, s.length, s.inner, std::min(tile, s.inner - column)});
      }
    };
    // An exponential is worth several of the cheap operations that the grain counts.
    const int64_t each = s.length * std::min(tile, s.inner) * 4;
    const int64_t units = s.outer * tiles, grain = std::max<int64_t>(1, elementwise_grain / each);
    if (units <= grain) return piece(0, units);
    parallel_for(units, grain, piece);
  }

  template <typename T>
  static void run_rows(const AxisSplit& s, const T* x, T* y) {
    const int64_t together = std::clamp<int64_t>(512 / s.length, 1, rows_together);
    const int64_t groups = (s.outer + together - 1) / together;
    auto piece = [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        const int64_t first = g * together, count = std::min(together, s.outer - first);
        Rule::rows(x + first * s.length, y + first * s.length, count, s.length);
      }
    };
    const int64_t grain = std::max<int64_t>(1, elementwise_grain / (4 * together * s.length));
    if (groups <= grain) return piece(0, groups);
    parallel_for(groups, grain, piece);
  }

  template <typename T>
  static void columns(const Columns<T>& c) {
    using C = ComputeType<T>;
    if constexpr (std::is_same_v<T, C>) {
      c.stride == 1 ? Rule::rows(c.x, c.y, 1, c.length) : Rule::columns(c);
    } else {
      Scratch scratch(static_cast<size_t>(c.length * c.width) * sizeof(C));
      C* buffer = scratch.as<C>();
      for (int64_t k = 0; k < c.length; ++k) {
        for (int64_t j = 0; j < c.width; ++j) buffer[k * c.width + j] = c.x[k * c.stride + j];
      }
      SoftmaxOp::columns(Columns<C>{buffer, buffer, c.length, c.width, c.width});
      for (int64_t k = 0; k < c.length; ++k) {
        for (int64_t j = 0; j < c.width; ++j) {
          c.y[k * c.stride + j] = static_cast<T>(buffer[k * c.width + j]);
        }
      }
    }
  }

  template <typename T>
  static constexpr SoftmaxKernel<T> kernels[] = {
      {"rows", [](const AxisSplit& s) { return s.inner == 1 && std::is_same_v<T, ComputeType<T>>; },
       [](const AxisSplit& s, const T* x, T* y) {
         if constexpr (std::is_same_v<T, ComputeType<T>>) run_rows(s, x, y);
       }},
      {"columns", always<AxisSplit>,
       [](const AxisSplit& s, const T* x, T* y) { run_columns(s, x, y); }},
  };

  int64_t axis_ = -1;
};

// Before opset 13 all axes from `axis` (1 if not given) on count as one.
void upgrade_flattened(UpgradeContext& u, std::string_view name) {
  if (u.opset() >= 13) return;
  int64_t axis = u.take<int64_t>("axis").value_or(1);
  GraphBuilder& b = u.builder();
  ValueId x = u.input(0);
  int64_t rank = u.type(x).rank();
  if (rank > 0 && normalize_axis(axis, rank) == rank - 1) return;
  ValueId flat = b.add("Flatten", {x}, {{"axis", axis}});
  u.replace({b.reshape_like(b.add(name, {flat}), x)});
}

struct Names {
  std::string_view name, doc;
  GradientState gradient = GradientState::Rule;
  Meaning meaning = Meaning::Any;
};

template <typename Rule>
void add_softmax(OpRegistry& r, Names n, void (*upgrade)(UpgradeContext&)) {
  r.add<SoftmaxOp<Rule>>({.name = n.name,
                          .doc = n.doc,
                          .since = {1, 11, 13},
                          .inputs = {{"input", "T"}},
                          .outputs = {{"output", "T"}},
                          .types = {{"T", dtypes::floats}},
                          .meaning = n.meaning,
                          .gradient = n.gradient,
                          .upgrade = upgrade});
}

}  // namespace

void register_softmax(OpRegistry& r) {
  add_softmax<SoftmaxRule>(
      r, {"Softmax", "e^x over its sum along an axis", GradientState::Rule, Meaning::Probabilities},
      [](UpgradeContext& u) { upgrade_flattened(u, "Softmax"); });
  add_softmax<LogSoftmaxRule>(
      r, {"LogSoftmax", "the logarithm of Softmax", GradientState::Rule, Meaning::LogProbabilities},
      [](UpgradeContext& u) { upgrade_flattened(u, "LogSoftmax"); });
  add_softmax<HardmaxRule>(
      r,
      {"Hardmax", "1 at the first of the largest elements along an axis, else 0",
       GradientState::NotDifferentiable},
      [](UpgradeContext& u) { upgrade_flattened(u, "Hardmax"); });
}

}  // namespace onnxrun
