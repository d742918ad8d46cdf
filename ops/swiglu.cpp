// SwiGLU.
#include <algorithm>
#include <array>

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/broadcast.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

// Shazeer 2020, "GLU variants improve transformer".
class SwiGlu final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor in the sigmoid of the gate");
  }

  void infer(InferContext& c) const override {
    if (!compatible(c.type(0), c.type(1))) {
      c.reject("the inputs' shapes differ: {}, {}", c.describe_input(0), c.describe_input(1));
    }
    c.set_output(0, refine(c.type(0), c.type(1)));
  }

  void run(RunContext& c) const override {
    const Tensor& a = c.input(0);
    dispatch_float(a.dtype(), [&]<typename T>() {
      const T *gate = a.data<T>(), *value = c.input(1).data<T>();
      T* out = c.output(0).data<T>();
      parallel_for(a.size(), elementwise_grain, [&](int64_t begin, int64_t end) {
        piece(gate + begin, value + begin, out + begin, end - begin);
      });
    });
  }

  void decompose(DecomposeContext& d) const override {
    ValueId gate = d.add("Swish", {d.input(0)}, {{"alpha", alpha_}});
    d.set(0, d.add("Mul", {gate, d.input(1)}));
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}, {1, 0}}, .elementwise = true}; }

 private:
  template <typename T>
  void piece(const T* gate, const T* value, T* out, int64_t n) const {
    using C = ComputeType<T>;
    std::array<C, 256> s;
    for (int64_t at = 0; at < n; at += static_cast<int64_t>(s.size())) {
      const int64_t count = std::min<int64_t>(n - at, s.size());
      for (int64_t i = 0; i < count; ++i) {
        s[static_cast<size_t>(i)] = static_cast<C>(gate[at + i]) * static_cast<C>(alpha_);
      }
      vsigmoid(s.data(), s.data(), count);
      for (int64_t i = 0; i < count; ++i) {
        out[at + i] = static_cast<T>(static_cast<C>(gate[at + i]) * s[static_cast<size_t>(i)] *
                                     static_cast<C>(value[at + i]));
      }
    }
  }

  float alpha_ = 1;
};

}  // namespace

void register_swiglu(OpRegistry& r) {
  r.add<SwiGlu>({.name = "SwiGLU",
                 .doc = "a sigmoid(alpha a) b",
                 .since = {28},
                 .inputs = {{"A", "T"}, {"B", "T"}},
                 .outputs = {{"Y", "T"}},
                 .types = {{"T", dtypes::floats}},
                 .gradient = GradientState::Decompose,
                 .decomposes = true});
}

}  // namespace onnxrun
