// Activation functions of one input: Relu, Sigmoid, Tanh, Softplus, Softsign, Gelu, Swish, Mish,
// LeakyRelu, ThresholdedRelu, Shrink, HardSigmoid, HardSwish.
#include <cmath>
#include <numbers>

#include "elementwise_unary.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

struct ReluRule {
  static constexpr auto function = ElementFunction::Relu;
  static constexpr double lower_bound = 0;
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

struct SigmoidRule : VectorRule<vsigmoid, vsigmoid> {
  static constexpr auto function = ElementFunction::Sigmoid;

  // s' = s (1 - s)
  void gradient(GradientContext& g) const {
    ValueId y = g.output(0);
    g.set(0, g.mul(g.grad(0), g.mul(y, g.minus(g.scalar_like(1, y), y))));
  }
};

struct TanhRule : VectorRule<vtanh, vtanh> {
  static constexpr auto function = ElementFunction::Tanh;

  // t' = 1 - t^2
  void gradient(GradientContext& g) const {
    ValueId y = g.output(0);
    g.set(0, g.mul(g.grad(0), g.minus(g.scalar_like(1, y), g.mul(y, y))));
  }
};

struct SoftplusRule : VectorRule<vsoftplus, vsoftplus> {
  static constexpr auto function = ElementFunction::Softplus;

  void gradient(GradientContext& g) const {
    g.set(0, g.mul(g.grad(0), g.add("Sigmoid", {g.input(0)})));
  }
};

struct SoftsignRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  T one(T x) const {
    return x / (T{1} + std::abs(x));
  }
  // 1 / (1 + |x|)^2
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0);
    ValueId size = g.plus(g.add("Abs", {x}), g.scalar_like(1, x));
    g.set(0, g.div(g.grad(0), g.mul(size, size)));
  }
};

// Hendrycks and Gimpel 2016, "Gaussian error linear units".
struct GeluRule {
  static constexpr DTypeSet types = dtypes::floats;
  std::string approximate = "none";

  void attributes(AttributeVisitor& v) {
    v.visit("approximate", approximate, "'none': by the error function, 'tanh': nearly so");
  }
  void check(InferContext& c) const {
    if (approximate == "none" || approximate == "tanh") return;
    c.reject("attribute 'approximate' is '{}', expected 'none' or 'tanh'", approximate);
  }
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    approximate == "tanh" ? vgelu_tanh(x, y, n) : vgelu(x, y, n);
  }
  void gradient(GradientContext& g) const {
    g.set(0, g.mul(g.grad(0), approximate == "tanh" ? tanh_slope(g) : slope(g)));
  }

 private:
  // With F the normal distribution and f its density: (x F(x))' = F(x) + x f(x).
  static ValueId slope(GradientContext& g) {
    ValueId x = g.input(0), half = g.scalar_like(0.5, x);
    ValueId erf = g.add("Erf", {g.mul(x, g.scalar_like(std::numbers::sqrt2 / 2, x))});
    ValueId below = g.plus(g.mul(erf, half), half);
    ValueId bell = g.add("Exp", {g.mul(g.mul(x, x), g.scalar_like(-0.5, x))});
    double peak = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    return g.plus(below, g.mul(g.mul(x, bell), g.scalar_like(peak, x)));
  }
  // With t = tanh(a x + b x^3): (x (1 + t) / 2)' = (1 + t + x (1 - t^2) (a + 3 b x^2)) / 2.
  static ValueId tanh_slope(GradientContext& g) {
    const double a = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, b = 0.044715 * a;
    ValueId x = g.input(0), one = g.scalar_like(1, x), square = g.mul(x, x);
    ValueId factor = g.plus(g.mul(square, g.scalar_like(b, x)), g.scalar_like(a, x));
    ValueId t = g.add("Tanh", {g.mul(x, factor)});
    ValueId inner = g.plus(g.mul(square, g.scalar_like(3 * b, x)), g.scalar_like(a, x));
    ValueId rest = g.mul(g.mul(x, g.minus(one, g.mul(t, t))), inner);
    return g.mul(g.plus(g.plus(t, one), rest), g.scalar_like(0.5, x));
  }
};

// Calls f(x, y, n) on blocks, with a buffer: f(x, y, buffer, n). y may be x.
template <typename T, typename F>
void by_blocks(const T* x, T* y, int64_t n, const F& f) {
  std::array<T, 256> buffer;
  for (int64_t at = 0; at < n; at += static_cast<int64_t>(buffer.size())) {
    f(x + at, y + at, buffer.data(), std::min<int64_t>(n - at, buffer.size()));
  }
}

struct SwishRule {
  static constexpr DTypeSet types = dtypes::floats;
  float alpha = 1;

  void attributes(AttributeVisitor& v) { v.visit("alpha", alpha, "factor in the sigmoid"); }
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    if (alpha == 1) return vsilu(x, y, n);
    by_blocks(x, y, n, [this](const T* from, T* to, T* s, int64_t count) {
      for (int64_t i = 0; i < count; ++i) s[i] = from[i] * static_cast<T>(alpha);
      vsigmoid(s, s, count);
      for (int64_t i = 0; i < count; ++i) to[i] = from[i] * s[i];
    });
  }
  // With s = sigmoid(a x): (x s)' = s + a x s (1 - s).
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0), scaled = alpha == 1 ? x : g.mul(x, g.scalar_like(alpha, x));
    ValueId s = g.add("Sigmoid", {scaled});
    ValueId rest = g.mul(g.mul(scaled, s), g.minus(g.scalar_like(1, x), s));
    g.set(0, g.mul(g.grad(0), g.plus(s, rest)));
  }
};

// Misra 2019, "Mish: a self regularized non-monotonic activation function".
struct MishRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    by_blocks(x, y, n, [](const T* from, T* to, T* t, int64_t count) {
      vsoftplus(from, t, count);
      vtanh(t, t, count);
      for (int64_t i = 0; i < count; ++i) to[i] = from[i] * t[i];
    });
  }
  // With t = tanh(softplus(x)): (x t)' = t + x (1 - t^2) sigmoid(x).
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0);
    ValueId t = g.add("Tanh", {g.add("Softplus", {x})});
    ValueId slope = g.mul(g.minus(g.scalar_like(1, x), g.mul(t, t)), g.add("Sigmoid", {x}));
    g.set(0, g.mul(g.grad(0), g.plus(t, g.mul(x, slope))));
  }
};

struct LeakyReluRule {
  static constexpr DTypeSet types = dtypes::floats;
  float alpha = 0.01f;

  void attributes(AttributeVisitor& v) { v.visit("alpha", alpha, "slope below zero"); }
  template <typename T>
  T one(T x) const {
    const T below = x * static_cast<T>(alpha);
    return x < T{0} ? below : x;
  }
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0), dy = g.grad(0);
    ValueId positive = g.add("Greater", {x, g.scalar_like(0, x)});
    g.set(0, g.add("Where", {positive, dy, g.mul(dy, g.scalar_like(alpha, x))}));
  }
};

struct ThresholdedReluRule {
  static constexpr DTypeSet types = dtypes::floats;
  float alpha = 1;

  void attributes(AttributeVisitor& v) { v.visit("alpha", alpha, "what is not above becomes 0"); }
  template <typename T>
  T one(T x) const {
    return x > static_cast<T>(alpha) ? x : T{0};
  }
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0);
    ValueId passes = g.add("Greater", {x, g.scalar_like(alpha, x)});
    g.set(0, g.add("Where", {passes, g.grad(0), g.scalar_like(0, x)}));
  }
};

struct ShrinkRule {
  static constexpr DTypeSet types =
      dtypes::ints | DTypeSet{DType::Float16, DType::Float32, DType::Float64};
  float bias = 0;
  float lambd = 0.5f;

  void attributes(AttributeVisitor& v) {
    v.visit("bias", bias, "how far the rest moves towards zero");
    v.visit("lambd", lambd, "what is not further from zero becomes 0");
  }
  template <typename T>
  T one(T x) const {
    using Real = std::conditional_t<std::is_same_v<T, float>, float, double>;
    Real v = static_cast<Real>(x), limit = static_cast<Real>(lambd);
    if (!(v < -limit) && !(v > limit)) return T{0};
    Real moved = v < -limit ? v + static_cast<Real>(bias) : v - static_cast<Real>(bias);
    if constexpr (std::is_integral_v<T>) {
      return std::abs(moved) < 0x1p63 ? static_cast<T>(static_cast<int64_t>(moved)) : T{0};
    } else {
      return moved;
    }
  }
  void gradient(GradientContext& g) const {
    ValueId size = g.add("Abs", {g.input(0)});
    ValueId passes = g.add("Greater", {size, g.scalar_like(lambd, size)});
    g.set(0, g.add("Where", {passes, g.grad(0), g.scalar_like(0, size)}));
  }
};

// y = f(a, b) of arrays, the second of which may be one number.
template <typename T>
void call(ElementFunction f, const T* a, const T* b, T* y, int64_t n) {
  const void* operands[] = {a, b};
  array_function<T>(f)(operands, 0, y, n);
}
template <typename T>
void call(ElementFunction f, const T* a, T b, T* y, int64_t n) {
  const void* operands[] = {a, &b};
  array_function<T>(f)(operands, 2, y, n);
}
template <typename T>
void clamp_to_unit(T* y, int64_t n) {
  call<T>(ElementFunction::Relu, y, y, y, n);
  call<T>(ElementFunction::Min, y, T{1}, y, n);
}

struct HardSigmoidRule {
  static constexpr DTypeSet types = dtypes::floats;
  float alpha = 0.2f;
  float beta = 0.5f;

  void attributes(AttributeVisitor& v) {
    v.visit("alpha", alpha, "slope of the ramp");
    v.visit("beta", beta, "value at zero");
  }
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    by_blocks(x, y, n, [this](const T* from, T* to, T*, int64_t count) {
      call<T>(ElementFunction::Mul, from, static_cast<T>(alpha), to, count);
      call<T>(ElementFunction::Add, to, static_cast<T>(beta), to, count);
      clamp_to_unit(to, count);
    });
  }
  // The ends of the ramp do not belong to it.
  void gradient(GradientContext& g) const {
    ValueId y = g.output(0), zero = g.scalar_like(0, y);
    ValueId ramp =
        g.add("And", {g.add("Greater", {y, zero}), g.add("Less", {y, g.scalar_like(1, y)})});
    g.set(0, g.add("Where", {ramp, g.mul(g.grad(0), g.scalar_like(alpha, y)), zero}));
  }
};

// Howard et al. 2019, "Searching for MobileNetV3".
struct HardSwishRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    by_blocks(x, y, n, [](const T* from, T* to, T* ramp, int64_t count) {
      call<T>(ElementFunction::Div, from, T{6}, ramp, count);
      call<T>(ElementFunction::Add, ramp, T{0.5}, ramp, count);
      clamp_to_unit(ramp, count);
      call<T>(ElementFunction::Mul, from, ramp, to, count);
    });
  }
  // 0 up to -3, 1 from 3 on, x / 3 + 1 / 2 between.
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0), three = g.scalar_like(3, x);
    ValueId ramp = g.plus(g.div(x, three), g.scalar_like(0.5, x));
    ValueId low = g.add("LessOrEqual", {x, g.scalar_like(-3, x)});
    ValueId high = g.add("GreaterOrEqual", {x, three});
    ValueId slope = g.add("Where", {high, g.scalar_like(1, x), ramp});
    slope = g.add("Where", {low, g.scalar_like(0, x), slope});
    g.set(0, g.mul(g.grad(0), slope));
  }
};

}  // namespace

void register_activations(OpRegistry& r) {
  add_activation<ReluRule>(r, {"Relu", "max(x, 0)", {1, 6, 13, 14}});
  add_activation<SigmoidRule>(r, {"Sigmoid", "1 / (1 + e^-x)", {1, 6, 13}}, Meaning::Probability);
  add_activation<TanhRule>(r, {"Tanh", "the hyperbolic tangent", {1, 6, 13}, "input", "output"});
  add_activation<SoftplusRule>(r, {"Softplus", "log(1 + e^x)", {1, 22}});
  add_activation<SoftsignRule>(r, {"Softsign", "x / (1 + |x|)", {1, 22}, "input", "output"});
  add_activation<GeluRule>(r, {"Gelu", "x times the normal distribution's value at x", {20}});
  add_activation<SwishRule>(r, {"Swish", "x sigmoid(alpha x)", {24}});
  add_activation<MishRule>(r, {"Mish", "x tanh(log(1 + e^x))", {18, 22}});
  add_activation<LeakyReluRule>(r, {"LeakyRelu", "x, below zero times alpha", {1, 6, 16}});
  add_activation<ThresholdedReluRule>(
      r, {"ThresholdedRelu", "x where it is above alpha, else 0", {10, 22}});
  add_activation<ShrinkRule>(
      r, {"Shrink", "0 up to lambd from zero, beyond it x moved by bias", {9}, "input", "output"});
  add_activation<HardSigmoidRule>(r,
                                  {"HardSigmoid", "alpha x + beta limited to [0, 1]", {1, 6, 22}});
  add_activation<HardSwishRule>(r, {"HardSwish", "x (x / 6 + 1 / 2 limited to [0, 1])", {14, 22}});
}

}  // namespace onnxrun
