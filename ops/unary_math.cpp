// Elementary functions: Neg, Abs, Exp, Log, Sqrt, Sin ... Floor, Ceil, Round, Sign.
#include <cmath>
#include <numbers>

#include "elementwise_unary.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

inline constexpr DTypeSet signed_numeric = dtypes::floats | dtypes::signed_ints;

struct NegRule {
  static constexpr auto function = ElementFunction::Neg;
  static constexpr DTypeSet types = signed_numeric;
  template <typename T>
  T one(T x) const {
    // Unsigned, so that the lowest integer wraps to itself.
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(0 - static_cast<uint64_t>(x));
    else
      return -x;
  }
  Dim content(const Dim& d) const { return Dim(0) - d; }
  void gradient(GradientContext& g) const { g.set(0, g.neg(g.grad(0))); }
};

struct AbsRule {
  static constexpr auto function = ElementFunction::Abs;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  T one(T x) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::abs(x);
    else if constexpr (std::is_signed_v<T>)
      return x < 0 ? static_cast<T>(0 - static_cast<uint64_t>(x)) : x;
    else
      return x;
  }
  void gradient(GradientContext& g) const {
    g.set(0, g.mul(g.grad(0), g.add("Sign", {g.input(0)})));
  }
};

struct SignRule {
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  T one(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return x;
    }
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};

struct ReciprocalRule {
  static constexpr auto function = ElementFunction::Reciprocal;
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  T one(T x) const {
    return T{1} / x;
  }
  void gradient(GradientContext& g) const {
    g.set(0, g.neg(g.mul(g.grad(0), g.mul(g.output(0), g.output(0)))));
  }
};

struct ExpRule : VectorRule<vexp, vexp> {
  static constexpr auto function = ElementFunction::Exp;

  void gradient(GradientContext& g) const { g.set(0, g.mul(g.grad(0), g.output(0))); }
};

struct LogRule : VectorRule<vlog, vlog> {
  static constexpr auto function = ElementFunction::Log;

  void gradient(GradientContext& g) const { g.set(0, g.div(g.grad(0), g.input(0))); }
};

struct SqrtRule : VectorRule<vsqrt, vsqrt> {
  static constexpr auto function = ElementFunction::Sqrt;

  void gradient(GradientContext& g) const {
    g.set(0, g.div(g.grad(0), g.mul(g.output(0), g.scalar_like(2, g.output(0)))));
  }
};

struct ErfRule : VectorRule<verf, verf> {
  static constexpr auto function = ElementFunction::Erf;

  // erf'(x) = 2 / sqrt(pi) exp(-x^2)
  void gradient(GradientContext& g) const {
    ValueId x = g.input(0);
    ValueId bell = g.add("Exp", {g.neg(g.mul(x, x))});
    g.set(0, g.mul(g.grad(0), g.mul(bell, g.scalar_like(2 * std::numbers::inv_sqrtpi, x))));
  }
};

// Before opset 13 integers were allowed; their function is computed in double.
void upgrade_erf(UpgradeContext& u) {
  DType dtype = u.type(u.input(0)).dtype;
  if (u.opset() >= 13 || !is_integer(dtype)) return;
  GraphBuilder& b = u.builder();
  u.replace({b.cast(b.add("Erf", {b.cast(u.input(0), DType::Float64)}), dtype)});
}

struct SinRule : VectorRule<vsin, vsin> {
  void gradient(GradientContext& g) const {
    g.set(0, g.mul(g.grad(0), g.add("Cos", {g.input(0)})));
  }
};

struct CosRule : VectorRule<vcos, vcos> {
  void gradient(GradientContext& g) const {
    g.set(0, g.neg(g.mul(g.grad(0), g.add("Sin", {g.input(0)}))));
  }
};

struct FloorRule {
  static constexpr DTypeSet types = dtypes::floats;
  static constexpr auto function = ElementFunction::Floor;
};

struct CeilRule {
  static constexpr DTypeSet types = dtypes::floats;
  static constexpr auto function = ElementFunction::Ceil;
};

struct RoundRule {
  static constexpr DTypeSet types = dtypes::floats;
  static constexpr auto function = ElementFunction::Round;
};

}  // namespace

void register_unary_math(OpRegistry& r) {
  add_unary<NegRule>(r, {"Neg", "-x", {1, 6, 13}});
  add_unary<AbsRule>(r, {"Abs", "the absolute value", {1, 6, 13}});
  add_unary<SignRule>(r, {"Sign", "-1, 0 or 1", {9, 13}, "input", "output"});
  add_unary<ReciprocalRule>(
      r, {"Reciprocal", "1 / x", {1, 6, 13}, "X", "Y", nullptr, OpKind::Reciprocal});
  add_unary<ExpRule>(r, {"Exp", "e^x", {1, 6, 13}, "input", "output"});
  add_unary<LogRule>(r, {"Log", "the natural logarithm", {1, 6, 13}, "input", "output"});
  add_unary<SqrtRule>(r, {"Sqrt", "the square root", {1, 6, 13}, "X", "Y", nullptr, OpKind::Root});
  add_unary<ErfRule>(r, {"Erf", "the error function", {9, 13}, "input", "output", upgrade_erf});
  add_unary<SinRule>(r, {"Sin", "the sine", {7, 22}, "input", "output"});
  add_unary<CosRule>(r, {"Cos", "the cosine", {7, 22}, "input", "output"});
  add_unary<FloorRule>(r, {"Floor", "rounded down", {1, 6, 13}});
  add_unary<CeilRule>(r, {"Ceil", "rounded up", {1, 6, 13}});
  add_unary<RoundRule>(r, {"Round", "rounded to the nearest integer, halves to even", {11, 22}});
}

}  // namespace onnxrun
