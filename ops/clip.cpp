// Clip.
#include <limits>

#include "elementwise_unary.h"

namespace onnxrun {

namespace {

class Clip final : public Op {
 public:
  void infer(InferContext& c) const override {
    infer_same(c);
    for (size_t i = 1; i < c.num_inputs(); ++i) {
      if (!c.has_input(i) || !c.shape(i)) continue;
      Dim count = element_count(*c.shape(i));
      if (c.rank(i) > 1 || (count.is_known() && count.value() != 1)) {
        c.reject("a bound must be a scalar: {}", c.describe_input(i));
      }
    }
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    dispatch_numeric(x.dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      // NaN, which no comparison holds for, passes through; an absent bound binds nothing.
      const bool has_low = c.has_input(1), has_high = c.has_input(2);
      const C low = has_low ? static_cast<C>(*c.input(1).data<T>()) : C{};
      const C high = has_high ? static_cast<C>(*c.input(2).data<T>()) : C{};
      unary_loop(x.data<T>(), c.output(0).data<T>(), x.size(),
                 [&](const C* from, C* to, int64_t n) {
                   for (int64_t i = 0; i < n; ++i) {
                     C v = from[i];
                     v = has_low && v < low ? low : v;
                     to[i] = has_high && v > high ? high : v;
                   }
                 });
    });
  }

  // As torch.clamp: a bound that is met exactly lets the gradient through, one that binds takes it.
  void gradient(GradientContext& g) const override {
    ValueId x = g.input(0), low = g.input(1), high = g.input(2);
    bool has_low = g.has_input(1), has_high = g.has_input(2);
    ValueId zero = g.scalar_like(0, x), dx = g.grad(0);
    if (has_low) dx = g.add("Where", {g.add("GreaterOrEqual", {x, low}), dx, zero});
    if (has_high) dx = g.add("Where", {g.add("LessOrEqual", {x, high}), dx, zero});
    g.set(0, dx);
    if (g.wants(1)) {
      ValueId binds = g.add("Less", {x, low});
      set_bound(g, 1, has_high ? g.add("And", {binds, g.add("Less", {low, high})}) : binds);
    }
    if (g.wants(2)) {
      ValueId binds = g.add("Greater", {x, high});
      set_bound(g, 2, has_low ? g.add("Or", {binds, g.add("Less", {high, low})}) : binds);
    }
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .elementwise = true}; }

 private:
  static void set_bound(GradientContext& g, size_t i, ValueId binds) {
    ValueId taken = g.add("Where", {binds, g.grad(0), g.scalar_like(0, g.grad(0))});
    ValueId sum = g.add("ReduceSum", {taken}, {{"keepdims", int64_t{0}}});
    g.set(i, g.builder().reshape_like(sum, g.input(i)));
  }
};

// Opsets before 11 have the bounds as attributes, with defaults (that bind infinities) from 6 on.
void upgrade_clip(UpgradeContext& u) {
  drop_consumed_inputs(u);
  if (u.opset() >= 11) return;
  DType dtype = u.type(u.input(0)).dtype;
  if (dtype == DType::Undefined) dtype = DType::Float32;
  constexpr float largest = std::numeric_limits<float>::max();
  auto bound = [&](const char* name, size_t i, float fallback) {
    auto value = u.take<float>(name);
    if (!value && u.opset() >= 6) value = fallback;
    if (value) u.set_input(i, u.builder().scalar(*value, dtype));
  };
  bound("min", 1, -largest);
  bound("max", 2, largest);
}

}  // namespace

void register_clip(OpRegistry& r) {
  r.add<Clip>({.name = "Clip",
               .doc = "x limited to [min, max]",
               .since = {1, 6, 11, 12, 13},
               .inputs = {{"input", "T"},
                          {"min", "T", Param::Kind::Optional, InputRole::Setting},
                          {"max", "T", Param::Kind::Optional, InputRole::Setting}},
               .outputs = {{"output", "T"}},
               .types = {{"T", dtypes::numeric}},
               .kind = OpKind::Extreme,
               .upgrade = upgrade_clip});
}

}  // namespace onnxrun
