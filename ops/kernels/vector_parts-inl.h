// What the functions of vector_math-inl.h are made of: polynomials, exact sums and products, powers
// of two, and tables held in registers. Included once for every instruction set.
#if defined(ONNXRUN_VECTOR_PARTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_VECTOR_PARTS_INL
#undef ONNXRUN_VECTOR_PARTS_INL
#else
#define ONNXRUN_VECTOR_PARTS_INL
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "kernels/lookup_tables.h"
#include "kernels/simd-inl.h"
#include "kernels/vector_math_tables.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

template <class D>
using Table = MathTable<hn::TFromD<D>>;
template <class D>
using Bits = hn::RebindToUnsigned<D>;

template <class D>
HWY_INLINE hn::Vec<D> constant(D d, double value) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}

template <class D, class V, typename T, size_t N, size_t... i>
HWY_INLINE V horner(D d, V x, const T (&c)[N], std::index_sequence<i...>) {
  V sum = hn::Set(d, c[N - 1]);
  ((sum = hn::MulAdd(sum, x, hn::Set(d, c[N - 2 - i]))), ...);
  return sum;
}
// c[0] + c[1] x + c[2] x^2 + ...
template <class D, class V, typename T, size_t N>
HWY_INLINE V polynomial(D d, V x, const T (&c)[N]) {
  return horner(d, x, c, std::make_index_sequence<N - 1>());
}

// An unevaluated sum, hi + lo.
template <class V>
struct Sum {
  V hi, lo;
};

template <class D, class V>
HWY_INLINE Sum<V> exact_sum(D, V a, V b) {
  V s = hn::Add(a, b);
  V b_part = hn::Sub(s, a);
  return {s, hn::Add(hn::Sub(a, hn::Sub(s, b_part)), hn::Sub(b, b_part))};
}

template <class D, class V>
HWY_INLINE Sum<V> exact_product(D d, V a, V b) {
  V p = hn::Mul(a, b);
#if HWY_NATIVE_FMA
  (void)d;
  return {p, hn::MulSub(a, b, p)};
#else
  // Veltkamp's split into halves whose products are exact.
  V split = constant(d, static_cast<double>((1 << ((Table<D>::fraction_bits + 2) / 2)) + 1));
  V ca = hn::Mul(a, split), cb = hn::Mul(b, split);
  V ah = hn::Sub(ca, hn::Sub(ca, a)), bh = hn::Sub(cb, hn::Sub(cb, b));
  V al = hn::Sub(a, ah), bl = hn::Sub(b, bh);
  V error = hn::Sub(hn::Sub(hn::Sub(p, hn::Mul(ah, bh)), hn::Mul(al, bh)), hn::Mul(ah, bl));
  return {p, hn::Sub(hn::Mul(al, bl), error)};
#endif
}

// 2^n for whole n in [1 - bias, bias].
template <class D, class V>
HWY_INLINE V power_of_two(D d, V n) {
  constexpr int fraction_bits = Table<D>::fraction_bits;
  // The addition leaves n + bias in the lowest bits of the fraction.
  V shifted =
      hn::Add(n, constant(d, 1.5 * static_cast<double>(1LL << fraction_bits) + Table<D>::bias));
  return hn::BitCast(d, hn::ShiftLeft<fraction_bits>(hn::BitCast(Bits<D>(), shifted)));
}

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
// Registers hold tables of 8 floats, with AVX-512 of 16 and 32, which costs no more than a
// multiplication to look into; smaller vectors read them from memory, with the same results.
template <class D, class I, size_t N>
HWY_INLINE hn::Vec<D> gather(D d, const float (&table)[N], I index) {
  const hn::RebindToSigned<D> di;
  return hn::GatherIndex(d, table, hn::And(index, hn::Set(di, N - 1)));
}

// Of each lane the element that the lowest bits of `index` name.
#if HWY_TARGET <= HWY_AVX3
template <class D, class I>
HWY_INLINE hn::Vec<D> lookup(D d, const float (&table)[16], I index) {
  if constexpr (hn::MaxLanes(D()) != 16) {
    return gather(d, table, index);
  } else {
    return hn::Vec<D>{_mm512_permutexvar_ps(index.raw, _mm512_loadu_ps(table))};
  }
}
template <class D, class I>
HWY_INLINE hn::Vec<D> lookup(D d, const float (&table)[32], I index) {
  if constexpr (hn::MaxLanes(D()) != 16) {
    return gather(d, table, index);
  } else {
    return hn::Vec<D>{
        _mm512_permutex2var_ps(_mm512_loadu_ps(table), index.raw, _mm512_loadu_ps(table + 16))};
  }
}
#else
template <class D, class I>
HWY_INLINE hn::Vec<D> lookup(D d, const float (&table)[16], I index) {
  if constexpr (hn::MaxLanes(D()) != 8) {
    return gather(d, table, index);
  } else {
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index.raw);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index.raw);
    // The fourth bit decides, where a blend looks for a sign.
    return hn::Vec<D>{
        _mm256_blendv_ps(low, high, _mm256_castsi256_ps(hn::ShiftLeft<28>(index).raw))};
  }
}
#endif

// c of |x| with the sign of x.
template <class D, class V, int degree, int count>
HWY_INLINE V odd_by_intervals(D d, V x, const Intervals<degree, count>& c) {
  const hn::RebindToSigned<D> di;
  const V u = hn::Min(hn::Set(d, count - 1), hn::Abs(hn::Mul(hn::Set(d, c.scale), x)));
  const V magic = hn::Set(d, 0x1.8p23f);  // whose neighbours are 1 apart
  const V biased = hn::Add(u, magic);
  const auto index = hn::BitCast(di, biased);
  const V delta = hn::Sub(u, hn::Sub(biased, magic));
  V sum = lookup(d, c.c[degree], index);
  for (int k = degree - 1; k >= 0; --k) sum = hn::MulAdd(sum, delta, lookup(d, c.c[k], index));
  return hn::CopySign(sum, x);
}
#endif

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
inline constexpr const auto& erf_table = erf_intervals;

template <class D>
constexpr bool has_lookup = std::is_same_v<hn::TFromD<D>, float>;

// v * 2^floor(n), rounded once, 0 and infinity included.
HWY_INLINE hn::Vec512<float> scale_by_floor(hn::Vec512<float> v, hn::Vec512<float> n) {
  return {_mm512_scalef_ps(v.raw, n.raw)};
}
HWY_INLINE hn::Vec256<float> scale_by_floor(hn::Vec256<float> v, hn::Vec256<float> n) {
  return {_mm256_scalef_ps(v.raw, n.raw)};
}
template <size_t N>
HWY_INLINE hn::Vec128<float, N> scale_by_floor(hn::Vec128<float, N> v, hn::Vec128<float, N> n) {
  return {_mm_scalef_ps(v.raw, n.raw)};
}

// e^(x + lo), lo tiny or left out: x = t ln(2) + r with t a multiple of 1/16. Min and Max give
// their second operand if one is NaN, which stays.
template <bool bounded_above = false, class D, class V, class... Lo>
HWY_INLINE V exp_by_lookup(D d, V x, Lo... lo) {
  const hn::RebindToSigned<D> di;
  using C = MathTable<float>;
  x = hn::Max(hn::Set(d, C::exp_min), x);
  if constexpr (!bounded_above) x = hn::Min(hn::Set(d, C::exp_max), x);
  const V magic = hn::Set(d, 0x1.8p19f);  // whose neighbours are 1/16 apart
  const V biased = hn::MulAdd(x, hn::Set(d, C::log2_e), magic);
  const V t = hn::Sub(biased, magic);
  V r = hn::NegMulAdd(t, hn::Set(d, whole_ln2_hi), x);
  r = hn::NegMulAdd(t, hn::Set(d, whole_ln2_lo), r);
  if constexpr (sizeof...(lo) > 0) r = hn::Add(r, lo...);
  const V power = lookup(d, sixteenth_powers, hn::BitCast(di, biased));
  const V q = hn::MulAdd(hn::Set(d, exp_c3), r, hn::Set(d, exp_c2));
  const V fraction = hn::MulAdd(hn::Mul(r, r), q, r);
  return scale_by_floor(hn::MulAdd(power, fraction, power), t);
}
#else
inline constexpr const auto& erf_table = wide_erf_intervals;

template <class D>
constexpr bool has_lookup = false;
#endif

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
