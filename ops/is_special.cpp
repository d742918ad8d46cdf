// IsNaN, IsInf.
#include <cmath>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/broadcast.h"

namespace onnxrun {

namespace {

inline constexpr DTypeSet tested = dtypes::floats | dtypes::float8s;

// A Rule has attributes() and bool holds(T) for float and double.
template <typename Rule>
class Test final : public Op {
 public:
  void attributes(AttributeVisitor& v) override { rule_.attributes(v); }

  void infer(InferContext& c) const override { c.set_output(0, DType::Bool, c.type(0).shape); }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    bool* out = c.output(0).data<bool>();
    dispatch<float, double, float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2,
             float8e5m2fnuz>(x.dtype(), [&]<typename T>() {
      using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
      parallel_for(x.size(), elementwise_grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = rule_.holds(static_cast<C>(x.data<T>()[i]));
      });
    });
  }

  OpTraits traits() const override { return {.elementwise = true}; }

 private:
  Rule rule_;
};

struct NanRule {
  void attributes(AttributeVisitor&) {}
  template <typename T>
  bool holds(T x) const {
    return std::isnan(x);
  }
};

struct InfRule {
  bool negative = true;
  bool positive = true;

  void attributes(AttributeVisitor& v) {
    v.visit("detect_negative", negative, "minus infinity counts");
    v.visit("detect_positive", positive, "plus infinity counts");
  }
  template <typename T>
  bool holds(T x) const {
    return std::isinf(x) && (x > 0 ? positive : negative);
  }
};

template <typename Rule>
void add_is_special(OpRegistry& r, std::string_view name, std::string_view doc,
                    std::vector<int> since) {
  r.add<Test<Rule>>({.name = name,
                     .doc = doc,
                     .since = std::move(since),
                     .inputs = {{"X", "T1"}},
                     .outputs = {{"Y", "T2"}},
                     .types = {{"T1", tested}, {"T2", dtypes::boolean}},
                     .gradient = GradientState::NotDifferentiable});
}

}  // namespace

void register_is_special(OpRegistry& r) {
  add_is_special<NanRule>(r, "IsNaN", "whether x is not a number", {9, 13, 20});
  add_is_special<InfRule>(r, "IsInf", "whether x is infinite", {10, 20});
}

}  // namespace onnxrun
