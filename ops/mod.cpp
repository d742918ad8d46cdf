// Mod.
#include <cmath>

#include "elementwise_binary.h"

namespace onnxrun {

namespace {

// The remainder with the sign of b (floor) or of a. Integers by zero give 0, as in numpy.
template <bool truncate, typename C>
C remainder(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    C r = std::fmod(a, b);
    if constexpr (truncate) return r;
    if (r == 0) return std::copysign(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
  } else {
    // The lowest integer by -1 traps.
    if (b == 0 || (std::is_signed_v<C> && b == static_cast<C>(-1))) return 0;
    C r = static_cast<C>(a % b);
    return !truncate && r != 0 && (r < 0) != (b < 0) ? static_cast<C>(r + b) : r;
  }
}

class Mod final : public BinaryOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("fmod", fmod_, "the quotient is truncated instead of rounded down");
  }

  void infer(InferContext& c) const override {
    BinaryOp::infer(c);
    infer_binary_content(c, [this](const Dim& a, const Dim& b) {
      if (!a.is_known() || !b.is_known()) return Dim();
      return Dim(fmod_ ? remainder<true>(a.value(), b.value())
                       : remainder<false>(a.value(), b.value()));
    });
  }

  void run(RunContext& c) const override { fmod_ ? run_as<true>(c) : run_as<false>(c); }

  // da - quotient db; the quotient is an integer.
  void gradient(GradientContext& g) const override {
    g.set(0, g.grad(0));
    if (!g.wants(1)) return;
    ValueId quotient = g.add("Round", {g.div(g.minus(g.input(0), g.output(0)), g.input(1))});
    g.set(1, g.neg(g.mul(g.grad(0), quotient)));
  }

 private:
  template <bool truncate>
  static void run_as(RunContext& c) {
    const auto& rows = c.state<BinaryRows>().rows;
    dispatch_numeric(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      binary_loop(rows, c.input(0).data<T>(), c.input(1).data<T>(), c.output(0).data<T>(),
                  [](C a, C b) { return remainder<truncate>(a, b); });
    });
  }

  bool fmod_ = false;
};

}  // namespace

void register_mod(OpRegistry& r) {
  r.add<Mod>({.name = "Mod",
              .doc = "the remainder of a / b, with broadcasting",
              .since = {10, 13, 28},
              .inputs = {{"A", "T"}, {"B", "T"}},
              .outputs = {{"C", "T"}},
              .types = {{"T", dtypes::numeric}}});
}

}  // namespace onnxrun
