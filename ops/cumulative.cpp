// CumSum, CumProd.
#include <algorithm>
#include <array>

#include "base/threads.h"
#include "graph/cost.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

struct RunningSumRule {
  static constexpr int neutral = 0;
  template <typename C>
  static C apply(C a, C b) {
    return a + b;
  }
  // The transpose of summing what is before is summing what is behind.
  static ValueId gradient(GradientContext& g, const Attributes&, bool exclusive, bool reverse) {
    return g.add("CumSum", {g.grad(0), g.input(1)},
                 {{"exclusive", int64_t{exclusive}}, {"reverse", int64_t{!reverse}}});
  }
};

struct ProductRule {
  static constexpr int neutral = 1;
  template <typename C>
  static C apply(C a, C b) {
    return a * b;
  }
  // dx_i = sum over j from i on of dy_j y_j / x_i. The first zero on the way is put as one for its
  // own derivative, and nothing depends on what lies behind it.
  static ValueId gradient(GradientContext& g, const Attributes& own, bool exclusive, bool reverse) {
    ValueId x = g.input(0), axis = g.input(1), dy = g.grad(0);
    ValueId one = g.scalar_like(1, x), zero = g.scalar_like(0, x);
    auto scan = [&](std::string_view op, ValueId v, const Attributes& attributes) {
      return g.add(op, {v, axis}, attributes);
    };
    Attributes forward{{"reverse", int64_t{reverse}}};
    Attributes back{{"exclusive", int64_t{exclusive}}, {"reverse", int64_t{!reverse}}};
    ValueId is_zero = g.add("Equal", {x, zero});
    ValueId zeros = scan("CumSum", g.builder().cast(is_zero, g.dtype(x)), forward);
    ValueId none = g.add("Equal", {zeros, zero});
    ValueId first = g.add("And", {is_zero, g.add("Equal", {zeros, one})});
    ValueId product = scan("CumProd", x, own);
    ValueId others = scan("CumProd", g.add("Where", {first, one, x}), own);
    ValueId before =
        g.div(scan("CumSum", g.mul(dy, product), back), g.add("Where", {is_zero, one, x}));
    ValueId at = scan("CumSum", g.mul(dy, others), back);
    return g.add("Where", {none, before, g.add("Where", {first, at, zero})});
  }
};

template <typename Rule>
class Cumulative final : public Op {
 public:
  Count operations(const CostContext& c) const override {
    return is_float(c.input(0).dtype) ? c.elements(0) : 0;
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("exclusive", exclusive_, "results leave out the element at their own place");
    v.visit("reverse", reverse_, "they run from the end");
  }

  void infer(InferContext& c) const override {
    const Tensor* axis = c.constant(1);
    if (axis && c.shape(0)) checked_axis(c, scalar_of<int64_t>(*axis, "axis"), c.rank(0));
    infer_same(c);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    if (x.size() == 0) return;
    auto axis =
        static_cast<size_t>(normalize_axis(scalar_of<int64_t>(c.input(1), "axis"), x.rank()));
    int64_t length = x.dims()[axis], inner = 1;
    for (size_t i = axis + 1; i < x.dims().size(); ++i) inner *= x.dims()[i];
    dispatch<float, double, int64_t, int32_t, uint64_t, uint32_t, float16, bfloat16>(
        x.dtype(), [&]<typename T>() {
          const T* in = x.data<T>();
          T* out = c.output(0).data<T>();
          // Neighbouring columns are taken together, in strips that are split by size only.
          int64_t strips = (inner + strip - 1) / strip, outer = x.size() / (length * inner);
          int64_t grain = std::max<int64_t>(1, 16384 / (length * std::min(inner, strip)));
          parallel_for(outer * strips, grain, [&](int64_t begin, int64_t end) {
            for (int64_t s = begin; s < end; ++s) {
              int64_t first = s % strips * strip;
              int64_t offset = s / strips * length * inner + first;
              accumulate(in + offset, out + offset, length, inner, std::min(strip, inner - first));
            }
          });
        });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    Attributes own{{"exclusive", int64_t{exclusive_}}, {"reverse", int64_t{reverse_}}};
    g.set(0, Rule::gradient(g, own, exclusive_, reverse_));
  }

 private:
  static constexpr int64_t strip = 32;

  template <typename T>
  void accumulate(const T* in, T* out, int64_t length, int64_t stride, int64_t width) const {
    using C =
        std::conditional_t<std::is_integral_v<T>,
                           std::make_unsigned_t<std::conditional_t<std::is_integral_v<T>, T, int>>,
                           ComputeType<T>>;
    std::array<C, strip> totals;
    totals.fill(static_cast<C>(Rule::neutral));
    for (int64_t step = 0; step < length; ++step) {
      int64_t at = (reverse_ ? length - 1 - step : step) * stride;
      for (int64_t i = 0; i < width; ++i) {
        auto& total = totals[static_cast<size_t>(i)];
        C before = total;
        total = Rule::apply(before, static_cast<C>(in[at + i]));
        out[at + i] = static_cast<T>(exclusive_ ? before : total);
      }
    }
  }

  bool exclusive_ = false;
  bool reverse_ = false;
};

template <typename Rule>
void add_cumulative(OpRegistry& r, std::string_view name, std::string_view doc,
                    std::vector<int> since) {
  r.add<Cumulative<Rule>>({.name = name,
                           .doc = doc,
                           .since = std::move(since),
                           .inputs = {{"x", "T"}, {"axis", "T2", InputRole::Setting}},
                           .outputs = {{"y", "T"}},
                           .types = {{"T", dtypes::floats | DTypeSet{DType::Int32, DType::Int64,
                                                                     DType::UInt32, DType::UInt64}},
                                     {"T2", dtypes::index}}});
}

}  // namespace

void register_cumulative(OpRegistry& r) {
  add_cumulative<RunningSumRule>(r, "CumSum", "sums of all elements up to each place along an axis",
                                 {11, 14});
  add_cumulative<ProductRule>(r, "CumProd",
                              "products of all elements up to each place along an axis", {26});
}

}  // namespace onnxrun
