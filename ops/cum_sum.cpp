// CumSum.
#include <algorithm>
#include <array>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class CumSum final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("exclusive", exclusive_, "sums leave out the element at their own place");
    v.visit("reverse", reverse_, "sums run from the end");
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
          // Neighbouring columns are summed together, in strips that are split by size only.
          int64_t strips = (inner + strip - 1) / strip, outer = x.size() / (length * inner);
          int64_t grain = std::max<int64_t>(1, 16384 / (length * std::min(inner, strip)));
          parallel_for(outer * strips, grain, [&](int64_t begin, int64_t end) {
            for (int64_t s = begin; s < end; ++s) {
              int64_t first = s % strips * strip;
              int64_t offset = s / strips * length * inner + first;
              sum(in + offset, out + offset, length, inner, std::min(strip, inner - first));
            }
          });
        });
  }

  // The transpose of summing what is before is summing what is behind.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("CumSum", {g.grad(0), g.input(1)},
                   {{"exclusive", int64_t{exclusive_}}, {"reverse", int64_t{!reverse_}}}));
  }

 private:
  static constexpr int64_t strip = 32;

  template <typename T>
  void sum(const T* in, T* out, int64_t length, int64_t stride, int64_t width) const {
    using C =
        std::conditional_t<std::is_integral_v<T>,
                           std::make_unsigned_t<std::conditional_t<std::is_integral_v<T>, T, int>>,
                           ComputeType<T>>;
    std::array<C, strip> totals{};
    for (int64_t step = 0; step < length; ++step) {
      int64_t at = (reverse_ ? length - 1 - step : step) * stride;
      for (int64_t i = 0; i < width; ++i) {
        auto& total = totals[static_cast<size_t>(i)];
        C before = total;
        total = before + static_cast<C>(in[at + i]);
        out[at + i] = static_cast<T>(exclusive_ ? before : total);
      }
    }
  }

  bool exclusive_ = false;
  bool reverse_ = false;
};

}  // namespace

void register_cum_sum(OpRegistry& r) {
  r.add<CumSum>({.name = "CumSum",
                 .doc = "sums of all elements up to each place along an axis",
                 .since = {11, 14},
                 .inputs = {{"x", "T"}, {"axis", "T2", InputRole::Setting}},
                 .outputs = {{"y", "T"}},
                 .types = {{"T", dtypes::floats | DTypeSet{DType::Int32, DType::Int64,
                                                           DType::UInt32, DType::UInt64}},
                           {"T2", dtypes::index}}});
}

}  // namespace onnxrun
