// Add, Sub, Mul, Div.
#include <limits>

#include "elementwise_binary.h"

namespace onnxrun {

namespace {

struct AddRule {
  static constexpr auto function = ElementFunction::Add;
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a + b);
  }
  static void gradient(GradientContext& g) {
    g.set(0, g.grad(0));
    g.set(1, g.grad(0));
  }
};

struct SubRule {
  static constexpr auto function = ElementFunction::Sub;
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a - b);
  }
  static void gradient(GradientContext& g) {
    g.set(0, g.grad(0));
    if (g.wants(1)) g.set(1, g.neg(g.grad(0)));
  }
};

struct MulRule {
  static constexpr auto function = ElementFunction::Mul;
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a * b);
  }
  // d(a b) = b da + a db
  static void gradient(GradientContext& g) {
    if (g.wants(0)) g.set(0, g.mul(g.grad(0), g.input(1)));
    if (g.wants(1)) g.set(1, g.mul(g.grad(0), g.input(0)));
  }
};

struct DivRule {
  static constexpr auto function = ElementFunction::Div;
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      // The two quotients that trap: numpy's answers.
      if (b == 0) return 0;
      if (std::is_signed_v<T> && b == static_cast<T>(-1))
        return static_cast<T>(0 - std::make_unsigned_t<T>(a));
    }
    return static_cast<T>(a / b);
  }
  // d(a / b) = da / b - (a / b) / b db
  static void gradient(GradientContext& g) {
    ValueId da = g.div(g.grad(0), g.input(1));
    g.set(0, da);
    if (g.wants(1)) g.set(1, g.neg(g.mul(da, g.output(0))));
  }
};

// Integers wrap around, as in every framework; doing it unsigned keeps that defined.
template <typename Rule, typename T>
T apply_wrapping(T a, T b) {
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T> && !std::is_same_v<Rule, DivRule>) {
    using U = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;
    return static_cast<T>(Rule::template apply<U>(static_cast<U>(a), static_cast<U>(b)));
  } else {
    return Rule::template apply<T>(a, b);
  }
}

// Integer tensors of rank 0 or 1 are mostly shapes: their arithmetic is followed symbolically.
template <typename Rule>
Dim apply_symbolic(const Dim& a, const Dim& b) {
  if constexpr (!std::is_same_v<Rule, DivRule>) {
    if (a.is_known() && b.is_known()) return Dim(apply_wrapping<Rule>(a.value(), b.value()));
  }
  if constexpr (std::is_same_v<Rule, AddRule>) return a + b;
  if constexpr (std::is_same_v<Rule, SubRule>) return a - b;
  if constexpr (std::is_same_v<Rule, MulRule>) return a * b;
  // Truncation and floor agree where both are lengths.
  bool lengths = !(a.is_known() && a.value() < 0) && b.is_known() && b.value() > 0;
  return lengths ? floor_div(a, b) : Dim();
}

template <typename Rule>
class Arithmetic final : public BinaryOp, public Elementwise {
 public:
  ElementFunction element_function() const override { return Rule::function; }

  void infer(InferContext& c) const override {
    infer_broadcast(c, c.dtype(0));
    infer_binary_content(c, apply_symbolic<Rule>);
  }

  void run(RunContext& c) const override {
    if (dtypes::f32_f64.contains(c.output(0).dtype())) return run_expression(c);
    const auto& rows = c.state<BinaryRows>().rows;
    dispatch_numeric(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      binary_loop(rows, c.input(0).data<T>(), c.input(1).data<T>(), c.output(0).data<T>(),
                  [](C a, C b) { return apply_wrapping<Rule, C>(a, b); });
    });
  }

  void gradient(GradientContext& g) const override { Rule::gradient(g); }
};

template <typename Rule>
void add_arithmetic(OpRegistry& r, std::string_view name, OpKind kind, std::string_view doc) {
  r.add<Arithmetic<Rule>>({.name = name,
                           .doc = doc,
                           .since = {1, 6, 7, 13, 14},
                           .inputs = {{"A", "T"}, {"B", "T"}},
                           .outputs = {{"C", "T"}},
                           .types = {{"T", dtypes::numeric}},
                           .kind = kind,
                           .gradient = GradientState::Rule,
                           .upgrade = upgrade_binary_broadcast});
}

}  // namespace

void register_arithmetic(OpRegistry& r) {
  add_arithmetic<AddRule>(r, "Add", OpKind::Sum, "a + b with broadcasting");
  add_arithmetic<SubRule>(r, "Sub", OpKind::Sum, "a - b with broadcasting");
  add_arithmetic<MulRule>(r, "Mul", OpKind::Multiply, "a * b with broadcasting");
  add_arithmetic<DivRule>(r, "Div", OpKind::Divide,
                          "a / b with broadcasting; integers truncate towards zero");
}

}  // namespace onnxrun
