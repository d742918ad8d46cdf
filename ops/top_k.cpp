// TopK.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "axis_rows.h"
#include "base/threads.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// a comes before b in ascending order; NaN is the largest, as in PyTorch.
template <typename C>
[[gnu::always_inline]] inline bool less(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (std::isnan(a)) return false;
    if (std::isnan(b)) return true;
  }
  return a < b;
}

class TopK final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis to look along");
    v.visit("largest", largest_, "the largest elements, else the smallest");
    v.visit("sorted", sorted_, "in order; they always are");
  }

  void infer(InferContext& c) const override {
    check_axis(c, axis_);
    if (const Shape* k = c.shape(1); k && k->size() > 1) {
      c.reject("{}, expected one number", c.describe_input(1));
    }
    Dim k;
    if (auto content = c.content(1)) {
      if (content->size() != 1) c.reject("{}, expected one number", c.describe_input(1));
      k = (*content)[0];
    }
    std::optional<Shape> shape;
    if (c.shape(0)) {
      shape = *c.shape(0);
      Dim& length = (*shape)[static_cast<size_t>(normalize_axis(axis_, c.rank(0)))];
      bool too_large = k.is_known() && length.is_known() && k.value() > length.value();
      if (too_large || (k.is_known() && k.value() < 0)) {
        c.reject("K is {}, but axis {} has {} elements", k.value(), axis_, length.to_string());
      }
      length = k;
    }
    c.set_output(0, c.dtype(0), shape);
    c.set_output(1, DType::Int64, shape);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const AxisSplit s(x.dims(), axis_);
    auto k = scalar_of<int64_t>(c.input(1), "K");
    if (k < 0 || k > s.length) {
      fail(ErrorKind::BadInput, "K is {}, but axis {} has {} elements", k, axis_, s.length);
    }
    if (k == 0 || x.size() == 0) return;
    dispatch_numeric(x.dtype(), [&]<typename T>() {
      T* values = c.has_output(0) ? c.output(0).data<T>() : nullptr;
      int64_t* indices = c.has_output(1) ? c.output(1).data<int64_t>() : nullptr;
      const T* data = x.data<T>();
      parallel_for(s.outer * s.inner, std::max<int64_t>(1, 8192 / s.length),
                   [&](int64_t begin, int64_t end) {
                     std::vector<int64_t> order(static_cast<size_t>(s.length));
                     for (int64_t lane = begin; lane < end; ++lane) {
                       int64_t outer = lane / s.inner, inner = lane % s.inner;
                       const T* from = data + outer * s.length * s.inner + inner;
                       select(from, s.inner, k, order);
                       for (int64_t i = 0; i < k; ++i) {
                         int64_t at = order[static_cast<size_t>(i)];
                         int64_t to = (outer * k + i) * s.inner + inner;
                         if (values) values[to] = from[at * s.inner];
                         if (indices) indices[to] = at;
                       }
                     }
                   });
    });
  }

  // Each value came from one place.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    ValueId indices = g.output(1);
    if (indices == no_value) {
      indices =
          g.builder().add_n("TopK", {g.input(0), g.input(1)}, 2,
                            {.attributes = {{"axis", axis_}, {"largest", int64_t{largest_}}}})[1];
    }
    g.set(0, g.add("ScatterElements", {g.builder().zeros_like(g.input(0)), indices, g.grad(0)},
                   {{"axis", axis_}}));
  }

 private:
  // The first k of `order` become the places of the elements wanted; of equal ones the first.
  template <typename T>
  [[gnu::flatten]] void select(const T* x, int64_t step, int64_t k,
                               std::vector<int64_t>& order) const {
    using C = ComputeType<T>;
    std::iota(order.begin(), order.end(), 0);
    auto before = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
      C a = static_cast<C>(x[i * step]), b = static_cast<C>(x[j * step]);
      if (less(a, b)) return !largest_;
      if (less(b, a)) return bool{largest_};
      return i < j;
    };
    if (k < static_cast<int64_t>(order.size())) {
      std::nth_element(order.begin(), order.begin() + k, order.end(), before);
    }
    std::sort(order.begin(), order.begin() + k, before);
  }

  int64_t axis_ = -1;
  bool largest_ = true, sorted_ = true;
};

// K was an attribute in opset 1.
void upgrade_top_k(UpgradeContext& u) {
  if (u.opset() >= 10) return;
  if (!u.has_attribute("k")) fail(ErrorKind::BadModel, "attribute 'k' is missing");
  auto k = u.take<int64_t>("k");
  u.set_input(1, u.builder().ints({*k}));
}

}  // namespace

void register_top_k(OpRegistry& r) {
  r.add<TopK>(
      {.name = "TopK",
       .doc = "the largest or smallest elements along an axis and where they are",
       .since = {1, 10, 11, 24},
       .inputs = {{"X", "T"}, {"K", "tensor(int64)"}},
       .outputs = {{"Values", "T"}, {"Indices", "I"}},
       .types = {{"T", dtypes::numeric}, {"tensor(int64)", DType::Int64}, {"I", DType::Int64}},
       .upgrade = upgrade_top_k});
}

}  // namespace onnxrun
