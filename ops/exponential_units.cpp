// Elu, Selu, Celu: linear above zero, an exponential below.
#include "elementwise_unary.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

// y = scale x for x > 0, else depth (e^(rate x) - 1).
struct Curve {
  double scale = 1, depth = 1, rate = 1;
};

// Unit has attributes() and curve().
template <typename Unit>
struct ExponentialRule : Unit {
  static constexpr DTypeSet types = dtypes::floats;

  template <typename T>
  void apply(const T* x, T* y, int64_t n) const {
    const Curve c = this->curve();
    const T scale = static_cast<T>(c.scale), depth = static_cast<T>(c.depth),
            rate = static_cast<T>(c.rate);
    std::array<T, 256> below;
    for (int64_t at = 0; at < n; at += static_cast<int64_t>(below.size())) {
      const T* from = x + at;
      T* to = y + at;
      const int64_t count = std::min<int64_t>(n - at, below.size());
      for (int64_t i = 0; i < count; ++i) below[static_cast<size_t>(i)] = from[i] * rate;
      vexpm1(below.data(), below.data(), count);
      for (int64_t i = 0; i < count; ++i) {
        to[i] = from[i] > T{0} ? from[i] * scale : below[static_cast<size_t>(i)] * depth;
      }
    }
  }

  // At zero the slope is that from below. The exponential sees no positive x: where it overflowed,
  // the branch not taken would still poison second derivatives.
  void gradient(GradientContext& g) const {
    const Curve c = this->curve();
    ValueId x = g.input(0), dy = g.grad(0), zero = g.scalar_like(0, x);
    ValueId positive = g.add("Greater", {x, zero});
    ValueId low = g.add("Where", {positive, zero, x});
    ValueId bell = g.add("Exp", {c.rate == 1 ? low : g.mul(low, g.scalar_like(c.rate, x))});
    ValueId below = g.mul(bell, g.scalar_like(c.depth * c.rate, x));
    g.set(0, g.mul(dy, g.add("Where", {positive, g.scalar_like(c.scale, x), below})));
  }
};

// Clevert et al. 2015, "Fast and accurate deep network learning by exponential linear units".
struct Elu {
  float alpha = 1;
  void attributes(AttributeVisitor& v) { v.visit("alpha", alpha, "depth below zero"); }
  Curve curve() const { return {1, alpha, 1}; }
};

// Klambauer et al. 2017, "Self-normalizing neural networks".
struct Selu {
  float alpha = 1.67326319217681884765625f;
  float gamma = 1.05070102214813232421875f;
  void attributes(AttributeVisitor& v) {
    v.visit("alpha", alpha, "depth below zero");
    v.visit("gamma", gamma, "factor of everything");
  }
  Curve curve() const { return {gamma, static_cast<double>(gamma) * alpha, 1}; }
};

// Barron 2017, "Continuously differentiable exponential linear units".
struct Celu {
  float alpha = 1;
  void attributes(AttributeVisitor& v) { v.visit("alpha", alpha, "depth below zero"); }
  Curve curve() const { return {1, alpha, 1 / static_cast<double>(alpha)}; }
};

// Opset 1 had the constants to fewer digits.
void upgrade_selu(UpgradeContext& u) {
  drop_consumed_inputs(u);
  if (u.opset() >= 6) return;
  u.attributes().emplace("alpha", 1.6732f);
  u.attributes().emplace("gamma", 1.0507f);
}

}  // namespace

void register_exponential_units(OpRegistry& r) {
  add_activation<ExponentialRule<Elu>>(r, {"Elu", "x, below zero alpha (e^x - 1)", {1, 6, 22}});
  add_activation<ExponentialRule<Selu>>(
      r, {"Selu", "gamma x, below zero gamma alpha (e^x - 1)", {1, 6, 22}, "X", "Y", upgrade_selu});
  add_activation<ExponentialRule<Celu>>(
      r, {"Celu", "x, below zero alpha (e^(x / alpha) - 1)", {12, 28}});
}

}  // namespace onnxrun
