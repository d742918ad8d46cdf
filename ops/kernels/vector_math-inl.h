// The functions of vector_math.h on one vector; included once for every instruction set.
// Each is a functor: f(d, x) with a descriptor d of float or double lanes.
#if defined(ONNXRUN_VECTOR_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_VECTOR_MATH_INL
#undef ONNXRUN_VECTOR_MATH_INL
#else
#define ONNXRUN_VECTOR_MATH_INL
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "kernels/simd-inl.h"
#include "kernels/vector_parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// v * 2^n, where the result may be subnormal or infinite although v is near 1.
template <class D, class V>
HWY_INLINE V scale_by_power(D d, V v, V n) {
  V first = hn::Min(hn::Max(n, constant(d, 1 - Table<D>::bias)), constant(d, Table<D>::bias));
  const V scaled = hn::Mul(v, power_of_two(d, first));
  const V rest = hn::Sub(n, first);
  if (HWY_LIKELY(hn::AllTrue(d, hn::Eq(rest, hn::Zero(d))))) return scaled;
  return hn::Mul(scaled, power_of_two(d, rest));
}

// e^x = 2^power * (1 + fraction).
template <class V>
struct ExpParts {
  V power, fraction;
};

// Of e^(x + lo), |lo| tiny, x in [exp_min, exp_max].
template <class D, class V>
HWY_INLINE ExpParts<V> exp_parts(D d, V x, V lo) {
  using C = Table<D>;
  V n = hn::Round(hn::Mul(x, hn::Set(d, C::log2_e)));
  V r = hn::NegMulAdd(n, hn::Set(d, C::ln2_hi), x);
  r = hn::Add(hn::NegMulAdd(n, hn::Set(d, C::ln2_lo), r), lo);
  return {n, hn::MulAdd(hn::Mul(r, r), polynomial(d, r, C::exp_q), r)};
}

template <class D, class V>
HWY_INLINE V clamp_exponent(D d, V x) {
  return hn::Min(hn::Max(x, hn::Set(d, Table<D>::exp_min)), hn::Set(d, Table<D>::exp_max));
}

// e^(hi + lo); NaN gives an unspecified number.
template <class D, class V>
HWY_INLINE V exp_of_sum(D d, V hi, V lo) {
  if constexpr (has_lookup<D>) return exp_by_lookup(d, hi, lo);
  ExpParts<V> e = exp_parts(d, clamp_exponent(d, hi), lo);
  return scale_by_power(d, hn::Add(constant(d, 1), e.fraction), e.power);
}

template <class D, class V>
HWY_INLINE V keep_nan(V x, V result) {
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

struct Exp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if constexpr (has_lookup<D>) return exp_by_lookup(d, x);
    return keep_nan<D>(x, exp_of_sum(d, x, hn::Zero(d)));
  }
};

// The same for x that is not above 0, or NaN.
struct ExpOfNegative {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if constexpr (has_lookup<D>) return exp_by_lookup<true>(d, x);
    return Exp()(d, x);
  }
};

// e^x - 1 for x whose power of two is far from overflow; loses the sign of zero.
template <class D, class V>
HWY_INLINE V expm1_moderate(D d, V x) {
  ExpParts<V> e = exp_parts(d, x, hn::Zero(d));
  V scale = power_of_two(d, e.power);
  return hn::MulAdd(e.fraction, scale, hn::Sub(scale, constant(d, 1)));
}

struct Expm1 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    // Below -tanh_max * 2 the result is -1, far above it the 1 does not count.
    V limit = hn::Set(d, Table<D>::tanh_max * 2);
    V moderate = expm1_moderate(d, hn::Min(hn::Max(x, hn::Neg(limit)), limit));
    V y = hn::IfThenElse(hn::Gt(x, limit), exp_of_sum(d, x, hn::Zero(d)), moderate);
    return keep_nan<D>(x, hn::CopySign(y, x));
  }
};

// x = 2^power * m with m in [sqrt(1/2), sqrt(2)), for positive normal x.
template <class V>
struct LogParts {
  V power, m;
};

template <class D, class V>
HWY_INLINE LogParts<V> log_parts(D d, V x) {
  using C = Table<D>;
  Bits<D> du;
  auto least = hn::BitCast(du, hn::Set(d, C::sqrt_half));
  auto one = hn::BitCast(du, constant(d, 1));
  auto offset = hn::Add(hn::BitCast(du, x), hn::Sub(one, least));
  V whole = constant(d, static_cast<double>(1LL << C::fraction_bits));
  auto biased = hn::ShiftRight<C::fraction_bits>(offset);
  V power = hn::Sub(hn::BitCast(d, hn::Or(biased, hn::BitCast(du, whole))),
                    hn::Add(whole, constant(d, C::bias)));
  auto fraction = hn::Sub(offset, hn::ShiftLeft<C::fraction_bits>(biased));
  return {power, hn::BitCast(d, hn::Add(fraction, least))};
}

// power * ln(2) + log(1 + f): with s = f / (2 + f), log(1 + f) = 2s + s * s^2 * log_r(s^2), written
// so that f, which is exact, is added last.
template <class D, class V>
HWY_INLINE V log_of_parts(D d, V power, V f) {
  using C = Table<D>;
  V s = hn::Div(f, hn::Add(f, constant(d, 2)));
  V z = hn::Mul(s, s);
  V r = hn::Mul(z, polynomial(d, z, C::log_r));
  V half_square = hn::Mul(hn::Mul(f, f), constant(d, 0.5));
  V small = hn::MulAdd(s, hn::Add(half_square, r), hn::Mul(power, hn::Set(d, C::ln2_lo)));
  return hn::MulAdd(power, hn::Set(d, C::ln2_hi), hn::Sub(f, hn::Sub(half_square, small)));
}

// log(x) of finite positive x.
template <class D, class V>
HWY_INLINE V log_positive(D d, V x) {
  using C = Table<D>;
  auto tiny = hn::Lt(x, hn::Set(d, C::smallest_normal));
  V up = constant(d, static_cast<double>(1LL << (C::fraction_bits + 1)));
  LogParts<V> l = log_parts(d, hn::IfThenElse(tiny, hn::Mul(x, up), x));
  V power = hn::Sub(l.power, hn::IfThenElseZero(tiny, constant(d, C::fraction_bits + 1)));
  return log_of_parts(d, power, hn::Sub(l.m, constant(d, 1)));
}

// `result` where x > 0 is finite; else what a logarithm with its pole at x = 0 gives.
template <class D, class V>
HWY_INLINE V with_log_specials(D d, V x, V result) {
  V infinity = constant(d, HUGE_VAL), zero = hn::Zero(d);
  V y = hn::IfThenElse(hn::Eq(x, infinity), infinity, result);
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  return hn::IfThenElse(hn::Lt(x, zero), constant(d, NAN), keep_nan<D>(x, y));
}

struct Log {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return with_log_specials(d, x, log_positive(d, x));
  }
};

// log(1 + x) for finite x > -1; loses the sign of zero.
template <class D, class V>
HWY_INLINE V log1p_finite(D d, V x) {
  using C = Table<D>;
  V one = constant(d, 1);
  V u = hn::Add(one, x);
  // What the sum lost goes into f, scaled as f is; beyond 2^fraction_bits it does not count.
  V lost = hn::IfThenElse(hn::Lt(x, one), hn::Sub(x, hn::Sub(u, one)), hn::Sub(one, hn::Sub(u, x)));
  LogParts<V> l = log_parts(d, u);
  V down = power_of_two(d, hn::Neg(hn::Min(l.power, constant(d, C::fraction_bits + 4))));
  return log_of_parts(d, l.power, hn::MulAdd(lost, down, hn::Sub(l.m, one)));
}

struct Log1p {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V y = with_log_specials(d, hn::Add(constant(d, 1), x), log1p_finite(d, x));
    return keep_nan<D>(x, hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y));
  }
};

struct Tanh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if constexpr (has_lookup<D>) return odd_by_intervals(d, x, tanh_intervals);
    V a = hn::Min(hn::Abs(x), hn::Set(d, Table<D>::tanh_max));
    V t = expm1_moderate(d, hn::Add(a, a));
    return keep_nan<D>(x, hn::CopySign(hn::Div(t, hn::Add(t, constant(d, 2))), x));
  }
};

struct Sigmoid {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V one = constant(d, 1);
    V e = ExpOfNegative()(d, hn::Neg(hn::Abs(x)));
    return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
  }
};

// x / (1 + e^(hi + lo)) for x >= 0, x e^(hi + lo) / (1 + e^(hi + lo)) for x < 0, where hi <= 0. The
// power of two is applied to the product, not to its factor, which may be subnormal.
template <class D, class V>
HWY_INLINE V times_sigmoid(D d, V x, V hi, V lo) {
  V one = constant(d, 1);
  // Beyond exp_min, so that the result is still 0 after the multiplication.
  V least = constant(d, Table<D>::exp_min * 1.2);
  ExpParts<V> e = exp_parts(d, hn::Max(hi, least), lo);
  V significand = hn::Add(one, e.fraction);
  V numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)),
                               scale_by_power(d, hn::Mul(x, significand), e.power), x);
  return hn::Div(numerator, hn::Add(one, scale_by_power(d, significand, e.power)));
}

struct Silu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    // Bounded below, so that -infinity * 0 does not arise.
    V bounded = hn::Max(x, hn::Set(d, Table<D>::exp_min * 2));
    return keep_nan<D>(x, times_sigmoid(d, bounded, hn::Neg(hn::Abs(x)), hn::Zero(d)));
  }
};

struct Softplus {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V e = exp_of_sum(d, hn::Neg(hn::Abs(x)), hn::Zero(d));
    return keep_nan<D>(x, hn::Add(hn::Max(x, hn::Zero(d)), log1p_finite(d, e)));
  }
};

// e^(a^2 / 2) erfc(a / sqrt(2)) for a >= 0.
template <class D, class V>
HWY_INLINE V scaled_erfc(D d, V a) {
  using C = Table<D>;
  // (a - center) / (a + center), with its smallest error where the polynomial is steepest.
  V u = hn::Sub(hn::Div(hn::Add(a, a), hn::Add(a, hn::Set(d, C::erfcx_center))), constant(d, 1));
  return hn::Div(polynomial(d, u, C::erfcx), hn::MulAdd(a, constant(d, 1.5), constant(d, 1)));
}

struct Erf {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
    if constexpr (std::is_same_v<hn::TFromD<D>, float>) {
      return odd_by_intervals(d, x, erf_table);
    }
#endif
    using C = Table<D>;
    V a = hn::Min(hn::Abs(x), hn::Set(d, C::erf_max));
    V square = hn::Mul(a, a);
    V one = constant(d, 1);
    V tail = hn::Mul(exp_of_sum(d, hn::Neg(square), hn::Zero(d)),
                     scaled_erfc(d, hn::Mul(a, hn::Set(d, C::sqrt_two))));
    V y = hn::IfThenElse(hn::Lt(a, one), hn::Mul(a, polynomial(d, square, C::erf_small)),
                         hn::Sub(one, tail));
    return keep_nan<D>(x, hn::CopySign(y, x));
  }
};

struct Gelu {
  // With part = |x| erfc(|x| / sqrt(2)) / 2: x - part above zero, -part below.
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V a = hn::Min(hn::Abs(x), hn::Set(d, Table<D>::gelu_max));
    V half = constant(d, 0.5);
    Sum<V> square = exact_product(d, a, a);
    V e = exp_of_sum(d, hn::Neg(hn::Mul(square.hi, half)), hn::Neg(hn::Mul(square.lo, half)));
    V part = hn::Mul(hn::Mul(hn::Mul(a, half), scaled_erfc(d, a)), e);
    V y = hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Sub(x, part), hn::Neg(part));
    return keep_nan<D>(x, hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y));
  }
};

struct GeluTanh {
  // (1 + tanh(z)) / 2 = sigmoid(2 z), and 2 z = x (gelu_a + gelu_b x^2) in twice the precision,
  // since the exponential turns absolute errors into relative ones.
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    using C = Table<D>;
    V a = hn::Min(hn::Abs(x), hn::Set(d, C::gelu_max));
    V gelu_b = hn::Set(d, C::gelu_b);
    Sum<V> square = exact_product(d, a, a);
    Sum<V> cubic = exact_product(d, gelu_b, square.hi);
    V cubic_lo =
        hn::MulAdd(gelu_b, square.lo, hn::MulAdd(hn::Set(d, C::gelu_b_lo), square.hi, cubic.lo));
    Sum<V> factor = exact_sum(d, hn::Set(d, C::gelu_a), cubic.hi);
    V factor_lo = hn::Add(factor.lo, hn::Add(cubic_lo, hn::Set(d, C::gelu_a_lo)));
    Sum<V> z = exact_product(d, a, factor.hi);
    V bounded = hn::Max(x, hn::Set(d, -C::gelu_max));
    V lo = hn::Neg(hn::MulAdd(a, factor_lo, z.lo));
    return keep_nan<D>(x, times_sigmoid(d, bounded, hn::Neg(z.hi), lo));
  }
};

struct Sqrt {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Sqrt(x);
  }
};

// y, where lanes in `hard` are replaced by f(x).
template <class D, class V, class M, class F>
HWY_INLINE V replace_lanes(D d, M hard, V x, V y, F f) {
  if (HWY_LIKELY(hn::AllFalse(d, hard))) return y;
  using T = hn::TFromD<D>;
  HWY_ALIGN T in[HWY_MAX_BYTES / sizeof(T)], out[HWY_MAX_BYTES / sizeof(T)];
  HWY_ALIGN T is_hard[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, d, in);
  hn::Store(y, d, out);
  hn::Store(hn::IfThenElseZero(hard, constant(d, 1)), d, is_hard);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (is_hard[i] != 0) out[i] = f(in[i]);
  }
  return hn::Load(d, out);
}

// Sine (shift 0) or cosine (shift 1) in double; `exact` to double precision or only to float's.
template <int shift, bool exact>
struct SinCos {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V y = moderate(d, x);
    auto hard = hn::Not(hn::Le(hn::Abs(x), constant(d, 0x1p20)));
    return replace_lanes(d, hard, x, y, [](double v) { return shift ? std::cos(v) : std::sin(v); });
  }

 private:
  // x - n pi / 2, whose relative error must stay small where it is near zero. n has 20 bits, so
  // products with parts of 33 bits are exact.
  template <class D, class V>
  HWY_INLINE V reduce(D d, V x, V n) const {
    using C = Table<D>;
    V r = hn::NegMulAdd(n, hn::Set(d, C::half_pi[0]), x);
    if constexpr (!exact) {
      return hn::NegMulAdd(n, hn::Set(d, C::half_pi[1]), r);
    } else {
      Sum<V> s = exact_sum(d, r, hn::Neg(hn::Mul(n, hn::Set(d, C::half_pi[1]))));
      Sum<V> t = exact_sum(d, s.hi, hn::Neg(hn::Mul(n, hn::Set(d, C::half_pi[2]))));
      V lo = hn::NegMulAdd(n, hn::Set(d, C::half_pi[3]), hn::Add(s.lo, t.lo));
      return hn::Add(t.hi, lo);
    }
  }

  template <class D, class V>
  HWY_INLINE V moderate(D d, V x) const {
    using C = Table<D>;
    Bits<D> du;
    V n = hn::Round(hn::Mul(x, hn::Set(d, C::two_over_pi)));
    V r = reduce(d, x, n);
    V z = hn::Mul(r, r), sin_r, cos_r;
    if constexpr (exact) {
      sin_r = polynomial(d, z, C::sin_r);
      cos_r = polynomial(d, z, C::cos_r);
    } else {
      sin_r = polynomial(d, z, C::sin_r_short);
      cos_r = polynomial(d, z, C::cos_r_short);
    }
    V sine = hn::MulAdd(hn::Mul(r, z), sin_r, r);
    V tail = hn::Mul(z, z);
    V cosine = hn::MulAdd(tail, cos_r, hn::NegMulAdd(z, constant(d, 0.5), constant(d, 1)));
    auto quadrant = hn::BitCast(du, hn::Add(n, constant(d, 1.5 * 0x1p52 + shift)));
    auto odd = hn::RebindMask(d, hn::Eq(hn::And(quadrant, hn::Set(du, 1)), hn::Set(du, 1)));
    auto sign = hn::ShiftLeft<62>(hn::And(quadrant, hn::Set(du, 2)));
    V y = hn::Xor(hn::IfThenElse(odd, cosine, sine), hn::BitCast(d, sign));
    // Keeps -0.
    return shift == 0 ? hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y) : y;
  }
};

// |x|^y of finite non-zero x and finite y, in double but good to float precision only.
template <class D, class V>
HWY_INLINE V pow_magnitude(D d, V x, V y) {
  return exp_of_sum(d, hn::Mul(y, log_positive(d, hn::Abs(x))), hn::Zero(d));
}

template <class D, class V>
HWY_INLINE auto is_whole(D, V y) {
  return hn::Eq(hn::Round(y), y);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
