// Pow.
#include <array>
#include <cmath>

#include "elementwise_binary.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

inline constexpr DTypeSet bases = dtypes::floats | DTypeSet{DType::Int32, DType::Int64};
constexpr int64_t power_block = 128;

// Integers to the power of integers wrap around; negative exponents leave what truncation leaves.
template <typename T>
T integer_power(T base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

// x^y over arrays; the commonest exponents without logarithms.
template <typename C>
void power(const C* x, C y, C* out, int64_t n) {
  if (y == C{2}) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] * x[i];
  } else if (y == C{1}) {
    std::copy(x, x + n, out);
  } else if (y == C{3}) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] * x[i] * x[i];
  } else if (y == C{-1}) {
    for (int64_t i = 0; i < n; ++i) out[i] = C{1} / x[i];
  } else {
    vpow(x, y, out, n);
  }
}

template <typename To, typename From>
void read(const From* x, int64_t step, To* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    to[i] = static_cast<To>(static_cast<ComputeType<From>>(x[i * step]));
}

// Floating-point bases: both operands in the base's compute type.
template <typename X, typename Y>
void power_rows(const BroadcastRows<2>& rows, const X* x, const Y* y, X* out) {
  using C = ComputeType<X>;
  rows.for_each([&](int64_t at, const std::array<int64_t, 2>& in, int64_t n) {
    std::array<C, power_block> base, exponent, result;
    for (int64_t i = 0; i < n; i += power_block) {
      int64_t count = std::min(power_block, n - i);
      read(x + in[0] + i * rows.step(0), rows.step(0), base.data(), count);
      if (rows.step(1) == 0) {
        power(base.data(), static_cast<C>(static_cast<ComputeType<Y>>(y[in[1]])), result.data(),
              count);
      } else {
        read(y + in[1] + i, 1, exponent.data(), count);
        vpow(base.data(), exponent.data(), result.data(), count);
      }
      for (int64_t k = 0; k < count; ++k)
        out[at + i + k] = static_cast<X>(result[static_cast<size_t>(k)]);
    }
  });
}

class Pow final : public BinaryOp {
 public:
  void run(RunContext& c) const override {
    const auto& rows = c.state<BinaryRows>().rows;
    const Tensor &x = c.input(0), &y = c.input(1);
    dispatch<float, double, float16, bfloat16, int32_t, int64_t>(x.dtype(), [&]<typename X>() {
      dispatch_numeric(y.dtype(), [&]<typename Y>() {
        X* out = c.output(0).data<X>();
        if constexpr (!std::is_integral_v<X>) {
          power_rows(rows, x.data<X>(), y.data<Y>(), out);
        } else if constexpr (std::is_integral_v<Y>) {
          binary_loop(rows, x.data<X>(), y.data<Y>(), out,
                      [](X a, Y b) { return integer_power(a, static_cast<int64_t>(b)); });
        } else {
          binary_loop(rows, x.data<X>(), y.data<Y>(), out, [](X a, ComputeType<Y> b) {
            return to_integer<X>(std::pow(static_cast<double>(a), static_cast<double>(b)));
          });
        }
      });
    });
  }

  void gradient(GradientContext& g) const override {
    ValueId x = g.input(0), dy = g.grad(0);
    ValueId y = g.builder().cast(g.input(1), g.dtype(x));
    if (g.wants(0)) g.set(0, g.mul(dy, slope(g, x, y)));
    if (!g.wants(1)) return;
    // d x^y / dy = x^y log(x), and 0 where x is 0 and y is not negative.
    ValueId zero = g.scalar_like(0, x);
    ValueId flat = g.add("And", {g.add("Equal", {x, zero}), g.add("GreaterOrEqual", {y, zero})});
    ValueId log = g.add("Log", {g.add("Where", {flat, g.scalar_like(1, x), x})});
    g.set(1, g.builder().cast(g.mul(dy, g.mul(g.output(0), log)), g.dtype(g.input(1))));
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .elementwise = true}; }

 private:
  template <typename X>
  static X to_integer(double v) {
    constexpr double end = std::is_same_v<X, int32_t> ? 0x1p31 : 0x1p63;
    return v >= -end && v < end ? static_cast<X>(v) : std::numeric_limits<X>::lowest();
  }

  // d x^y / dx = y x^(y - 1), and 0 where y is 0, whatever x is.
  static ValueId slope(GradientContext& g, ValueId x, ValueId y) {
    const Tensor* known = g.builder().graph().constant(g.input(1));
    if (known && known->size() == 1) {
      double exponent = to_doubles(*known)[0];
      if (exponent == 2) return g.mul(x, g.scalar_like(2, x));
      if (exponent != 0) return g.mul(y, g.add("Pow", {x, g.scalar_like(exponent - 1, x)}));
    }
    ValueId one = g.scalar_like(1, x);
    ValueId safe = g.add("Where", {g.add("Equal", {y, g.scalar_like(0, x)}), one, y});
    return g.mul(y, g.add("Pow", {x, g.minus(safe, one)}));
  }
};

}  // namespace

void register_pow(OpRegistry& r) {
  r.add<Pow>({.name = "Pow",
              .doc = "x^y with broadcasting",
              .since = {1, 7, 12, 13, 15},
              .inputs = {{"X", "T"}, {"Y", "T1"}},
              .outputs = {{"Z", "T"}},
              .types = {{"T", bases}, {"T1", dtypes::numeric}},
              .upgrade = upgrade_binary_broadcast});
}

}  // namespace onnxrun
