// Greater, Less, GreaterOrEqual, LessOrEqual, Equal, And, Or, Xor, Not.
#include "elementwise_binary.h"
#include "elementwise_unary.h"

namespace onnxrun {

namespace {

struct GreaterRule {
  static constexpr auto function = ElementFunction::Greater;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  static bool apply(const T& a, const T& b) {
    return a > b;
  }
};

struct LessRule {
  static constexpr auto function = ElementFunction::Less;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  static bool apply(const T& a, const T& b) {
    return a < b;
  }
};

struct GreaterOrEqualRule {
  static constexpr auto function = ElementFunction::GreaterOrEqual;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  static bool apply(const T& a, const T& b) {
    return a >= b;
  }
};

struct LessOrEqualRule {
  static constexpr auto function = ElementFunction::LessOrEqual;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename T>
  static bool apply(const T& a, const T& b) {
    return a <= b;
  }
};

struct EqualRule {
  static constexpr auto function = ElementFunction::Equal;
  static constexpr DTypeSet types = dtypes::numeric | dtypes::boolean | DTypeSet(DType::String);
  template <typename T>
  static bool apply(const T& a, const T& b) {
    return a == b;
  }
};

struct LogicalAndRule {
  static constexpr DTypeSet types = dtypes::boolean;
  static bool apply(bool a, bool b) { return a && b; }
};

struct LogicalOrRule {
  static constexpr DTypeSet types = dtypes::boolean;
  static bool apply(bool a, bool b) { return a || b; }
};

struct LogicalXorRule {
  static constexpr DTypeSet types = dtypes::boolean;
  static bool apply(bool a, bool b) { return a != b; }
};

template <typename Rule, typename F>
void dispatch_compared(DType dtype, const F& f) {
  auto allowed = [&]<typename T>() {
    if constexpr (Rule::types.contains(dtype_of<T>))
      f.template operator()<T>();
    else
      fail_dispatch(dtype, Rule::types);
  };
  if (dtype == DType::Bool) return allowed.template operator()<bool>();
  if (dtype == DType::String) return allowed.template operator()<std::string>();
  dispatch_numeric(dtype, allowed);
}

// Whether two integers, not both known, are equal, as 1 or 0; unknown where that cannot be told. An
// expression that subtracts nothing is a length, so it is not negative.
Dim equal_symbolic(const Dim& a, const Dim& b) {
  if (a == b) return 1;
  const Dim &known = a.is_known() ? a : b, &other = a.is_known() ? b : a;
  bool length = other.is_symbolic() && other.to_string().find('-') == std::string::npos;
  return known.is_known() && known.value() < 0 && length ? Dim(0) : Dim();
}

template <typename Rule>
class Comparison final : public BinaryOp, public ElementwiseOf<Rule> {
 public:
  void infer(InferContext& c) const override {
    infer_broadcast(c, DType::Bool);
    infer_binary_content(c, compare);
  }

  void run(RunContext& c) const override {
    if (HasFunction<Rule> && dtypes::f32_f64.contains(c.input(0).dtype())) {
      return run_expression(c);
    }
    const auto& rows = c.state<BinaryRows>().rows;
    dispatch_compared<Rule>(c.input(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      binary_loop(rows, c.input(0).data<T>(), c.input(1).data<T>(), c.output(0).data<bool>(),
                  [](const C& a, const C& b) { return Rule::apply(a, b); });
    });
  }

 private:
  // Symbolic lengths, or results of comparing them, as 1 or 0. Exporters compare shapes with -1 to
  // find the lengths that Expand is to keep, and numbers of heads.
  static Dim compare(const Dim& a, const Dim& b) {
    if (a.is_known() && b.is_known()) return Rule::apply(a.value(), b.value());
    if constexpr (std::is_same_v<Rule, EqualRule>) return equal_symbolic(a, b);
    if constexpr (std::is_same_v<Rule, LogicalAndRule>)
      return is(a, 0) || is(b, 0) ? Dim(0) : Dim();
    if constexpr (std::is_same_v<Rule, LogicalOrRule>) return is(a, 1) || is(b, 1) ? Dim(1) : Dim();
    return Dim();
  }
  static bool is(const Dim& d, int64_t value) { return d.is_known() && d.value() == value; }
};

class Not final : public Op {
 public:
  void infer(InferContext& c) const override {
    infer_same(c);
    auto elements = c.content(0);
    if (!elements) return;
    for (Dim& d : *elements) d = d.is_known() ? Dim(d.value() == 0) : Dim();
    c.set_content(0, std::move(*elements));
  }

  void run(RunContext& c) const override {
    unary_loop(c.input(0).data<bool>(), c.output(0).data<bool>(), c.input(0).size(),
               [](const bool* x, bool* y, int64_t n) {
                 for (int64_t i = 0; i < n; ++i) y[i] = !x[i];
               });
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .elementwise = true}; }
};

template <typename Rule>
void add_comparison(OpRegistry& r, std::string_view name, std::string_view doc,
                    std::vector<int> since) {
  r.add<Comparison<Rule>>({.name = name,
                           .doc = doc,
                           .since = std::move(since),
                           .inputs = {{"A", "T"}, {"B", "T"}},
                           .outputs = {{"C", "T1"}},
                           .types = {{"T", Rule::types}, {"T1", dtypes::boolean}},
                           .gradient = GradientState::NotDifferentiable,
                           .upgrade = upgrade_binary_broadcast});
}

}  // namespace

void register_comparison(OpRegistry& r) {
  add_comparison<GreaterRule>(r, "Greater", "a > b with broadcasting", {1, 7, 9, 13});
  add_comparison<LessRule>(r, "Less", "a < b with broadcasting", {1, 7, 9, 13});
  add_comparison<GreaterOrEqualRule>(r, "GreaterOrEqual", "a >= b with broadcasting", {12, 16});
  add_comparison<LessOrEqualRule>(r, "LessOrEqual", "a <= b with broadcasting", {12, 16});
  add_comparison<EqualRule>(r, "Equal", "a == b with broadcasting", {1, 7, 11, 13, 19});
  add_comparison<LogicalAndRule>(r, "And", "a and b with broadcasting", {1, 7});
  add_comparison<LogicalOrRule>(r, "Or", "a or b with broadcasting", {1, 7});
  add_comparison<LogicalXorRule>(r, "Xor", "either a or b, with broadcasting", {1, 7});
  r.add<Not>({.name = "Not",
              .doc = "not x",
              .since = {1},
              .inputs = {{"X", "T"}},
              .outputs = {{"Y", "T"}},
              .types = {{"T", dtypes::boolean}},
              .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
