// ArgMax, ArgMin.
#include <algorithm>
#include <array>
#include <cmath>

#include "axis_rows.h"
#include "kernels/broadcast.h"

namespace onnxrun {

namespace {

constexpr int64_t arg_tile = 64;

// Whether `b`, met after `a`, takes its place. NaN is the most extreme, as in numpy.
template <int sign, typename C>
bool replaces(C a, C b, bool last) {
  if constexpr (std::is_floating_point_v<C>) {
    if (std::isnan(a)) return last && std::isnan(b);
    if (std::isnan(b)) return true;
  }
  if (a == b) return last;
  return sign > 0 ? b > a : b < a;
}

template <int sign>
class ArgReduce final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis to look along");
    v.visit("keepdims", keepdims_, "keep the axis, with length 1");
    v.visit("select_last_index", last_, "of equal elements the last instead of the first");
  }

  void infer(InferContext& c) const override {
    check_axis(c, axis_);
    if (!c.shape(0)) return c.set_output(0, DType::Int64);
    Shape shape = *c.shape(0);
    auto at = static_cast<size_t>(normalize_axis(axis_, c.rank(0)));
    if (shape[at].is_known() && shape[at].value() == 0) {
      c.reject("axis {} has no elements: {}", axis_, c.describe_input(0));
    }
    shape[at] = 1;
    if (!keepdims_) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(at));
    c.set_output(0, DType::Int64, std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const AxisSplit s(x.dims(), axis_);
    dispatch_numeric(x.dtype(),
                     [&]<typename T>() { run_as(s, x.data<T>(), c.output(0).data<int64_t>()); });
  }

 private:
  template <typename T>
  void run_as(const AxisSplit& s, const T* x, int64_t* y) const {
    if (s.outer == 0 || s.inner == 0) return;
    const int64_t tiles = (s.inner + arg_tile - 1) / arg_tile;
    auto piece = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t outer = unit / tiles, column = unit % tiles * arg_tile;
        search(x + outer * s.length * s.inner + column, s, std::min(arg_tile, s.inner - column),
               y + outer * s.inner + column);
      }
    };
    const int64_t units = s.outer * tiles;
    const int64_t grain =
        std::max<int64_t>(1, elementwise_grain / (s.length * std::min(arg_tile, s.inner)));
    if (units <= grain) return piece(0, units);
    parallel_for(units, grain, piece);
  }

  template <typename T>
  void search(const T* x, const AxisSplit& s, int64_t width, int64_t* y) const {
    using C = ComputeType<T>;
    std::array<C, arg_tile> best;
    for (int64_t j = 0; j < width; ++j) {
      best[static_cast<size_t>(j)] = static_cast<C>(x[j]);
      y[j] = 0;
    }
    for (int64_t k = 1; k < s.length; ++k) {
      const T* row = x + k * s.inner;
      for (int64_t j = 0; j < width; ++j) {
        C value = static_cast<C>(row[j]);
        if (!replaces<sign>(best[static_cast<size_t>(j)], value, last_)) continue;
        best[static_cast<size_t>(j)] = value;
        y[j] = k;
      }
    }
  }

  int64_t axis_ = 0;
  bool keepdims_ = true;
  bool last_ = false;
};

template <int sign>
void add_arg_reduction(OpRegistry& r, std::string_view name, std::string_view doc) {
  r.add<ArgReduce<sign>>({.name = name,
                          .doc = doc,
                          .since = {1, 11, 12, 13},
                          .inputs = {{"data", "T"}},
                          .outputs = {{"reduced", "tensor(int64)"}},
                          .types = {{"T", dtypes::numeric}, {"tensor(int64)", DType::Int64}},
                          .gradient = GradientState::NotDifferentiable});
}

}  // namespace

void register_arg_reduce(OpRegistry& r) {
  add_arg_reduction<1>(r, "ArgMax", "index of the largest element along an axis");
  add_arg_reduction<-1>(r, "ArgMin", "index of the smallest element along an axis");
}

}  // namespace onnxrun
