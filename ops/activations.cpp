// Activation functions: Relu, Sigmoid, Tanh.
#include <cmath>

#include "elementwise_unary.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

struct ReluRule {
  static constexpr DTypeSet types = dtypes::floats | dtypes::signed_ints;
  template <typename T>
  T one(T x) const {
    return x < T{0} ? T{0} : x;
  }
  // What is not above zero blocks the gradient; NaN passes it on.
  void gradient(GradientContext& g) const {
    ValueId zero = g.scalar_like(0, g.output(0));
    ValueId blocked = g.add("LessOrEqual", {g.output(0), zero});
    g.set(0, g.add("Where", {blocked, zero, g.grad(0)}));
  }
};

struct SigmoidRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    vsigmoid(x, y, n);
  }
  // s' = s (1 - s)
  void gradient(GradientContext& g) const {
    ValueId y = g.output(0);
    g.set(0, g.mul(g.grad(0), g.mul(y, g.minus(g.scalar_like(1, y), y))));
  }
};

struct TanhRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    vtanh(x, y, n);
  }
  // t' = 1 - t^2
  void gradient(GradientContext& g) const {
    ValueId y = g.output(0);
    g.set(0, g.mul(g.grad(0), g.minus(g.scalar_like(1, y), g.mul(y, y))));
  }
};

}  // namespace

void register_activations(OpRegistry& r) {
  add_unary<ReluRule>(r, {"Relu", "max(x, 0)", {1, 6, 13, 14}});
  add_unary<SigmoidRule>(r, {"Sigmoid", "1 / (1 + e^-x)", {1, 6, 13}});
  add_unary<TanhRule>(r, {"Tanh", "the hyperbolic tangent", {1, 6, 13}, "input", "output"});
}

}  // namespace onnxrun
