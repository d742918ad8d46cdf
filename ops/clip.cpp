// Clip.
#include <algorithm>
#include <limits>
#include <optional>
#include <type_traits>

#include "elementwise_unary.h"
#include "kernels/array_functions.h"
#include "limited_form.h"

namespace onnxrun {

namespace {

class Clip final : public Op, public LimitsInput {
 public:
  Bounds bounds(const std::vector<ValueId>& inputs) const override {
    auto bound = [&](size_t i) { return Bound{i < inputs.size() ? inputs[i] : no_value}; };
    return {bound(1), bound(2)};
  }

  void infer(InferContext& c) const override {
    infer_same(c);
    check_limits(c, 1);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    dispatch_numeric(x.dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      // NaN passes through, and binds nothing as a bound.
      auto bound = [&](size_t i) {
        if (!c.has_input(i)) return std::optional<C>();
        const C value = static_cast<C>(*c.input(i).data<T>());
        return value == value ? std::optional(value) : std::nullopt;
      };
      const std::optional<C> low = bound(1), high = bound(2);
      unary_loop(x.data<T>(), c.output(0).data<T>(), x.size(),
                 [&](const C* from, C* to, int64_t n) { limit(from, low, high, to, n); });
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
  static constexpr int64_t block = 1024;

  template <typename C>
  static void limit(const C* x, std::optional<C> low, std::optional<C> high, C* y, int64_t n) {
    if constexpr (std::is_floating_point_v<C>) {
      for (int64_t at = 0; at < n; at += block) {
        const int64_t count = std::min(block, n - at);
        const C* from = x + at;
        auto take = [&](ElementFunction f, const C& limit) {
          const void* operands[] = {from, &limit};
          array_function<C>(f)(operands, 2, y + at, count);
          from = y + at;
        };
        if (low) take(ElementFunction::Max, *low);
        if (high) take(ElementFunction::Min, *high);
        if (from != y + at) std::copy_n(from, count, y + at);
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        C v = x[i];
        v = low && v < *low ? *low : v;
        y[i] = high && v > *high ? *high : v;
      }
    }
  }

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
