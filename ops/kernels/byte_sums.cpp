#include "kernels/byte_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <limits>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

using Words = hn::ScalableTag<int32_t>;
using Word = hn::Vec<Words>;

// Calls f(j, load, store) for all vectors of n elements; the last one may be a part.
template <class F>
HWY_INLINE void for_each_vector(int64_t n, const F& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Words()));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) f.template operator()<false>(j, 0);
  if (j < n) f.template operator()<true>(j, static_cast<size_t>(n - j));
}

template <bool partial, class D, typename T>
HWY_INLINE hn::Vec<D> load(D d, const T* x, size_t count) {
  if constexpr (partial) return load_first(d, x, count);
  return hn::LoadU(d, x);
}

template <bool partial, class D, typename T>
HWY_INLINE void store(D d, hn::Vec<D> v, T* y, size_t count) {
  if constexpr (partial) return store_first(d, v, y, count);
  hn::StoreU(v, d, y);
}

// A vector of corrected sums.
template <bool partial>
HWY_INLINE Word corrected(const SumCorrection& c, const int32_t* sums, int64_t j, size_t count) {
  const Words d;
  Word v = hn::Add(load<partial>(d, sums + j, count), hn::Set(d, c.add));
  if (c.columns) {
    const Word x = load<partial>(d, c.columns + j, count);
    v = hn::Add(v, hn::Mul(x, hn::Set(d, c.column_factor)));
  }
  if (c.others) {
    const Word x = load<partial>(d, c.others + j, count);
    v = hn::Add(v, hn::Mul(x, hn::Set(d, c.other_factor)));
  }
  return v;
}

void correct(const SumCorrection& c, const int32_t* sums, int64_t n, int32_t* out) {
  for_each_vector(n, [&]<bool partial>(int64_t j, size_t count) HWY_ATTR {
    store<partial>(Words(), corrected<partial>(c, sums, j, count), out + j, count);
  });
}

HWY_INLINE Word add_saturating(Word x, int32_t bias) {
  const Words d;
  const Word b = hn::Set(d, bias), sum = hn::Add(x, b);
  const Word limit = hn::Set(
      d, bias < 0 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max());
  const Word overflow = hn::And(hn::Xor(x, sum), hn::Xor(b, sum));
  return hn::IfThenElse(hn::Lt(overflow, hn::Zero(d)), limit, sum);
}

void quantize(const Requantization& r, const SumCorrection& c, const int32_t* sums, int64_t n,
              uint8_t* out) {
  const Words d;
  const hn::Rebind<float, Words> df;
  const hn::Rebind<uint8_t, Words> bytes;
  const float low = r.is_signed ? -128 : 0, high = r.is_signed ? 127 : 255;
  // As unsigned numbers, which both kinds are narrowed as.
  const Word shift = hn::Set(d, r.is_signed ? 128 : 0);
  const auto flip = hn::Set(bytes, static_cast<uint8_t>(r.is_signed ? 0x80 : 0));
  const auto zero = hn::Set(df, static_cast<float>(r.zero_point));
  for_each_vector(n, [&]<bool partial>(int64_t j, size_t count) HWY_ATTR {
    const auto factor = r.factors ? load<partial>(df, r.factors + j, count) : hn::Set(df, r.factor);
    const Word sum = add_saturating(corrected<partial>(c, sums, j, count), r.bias);
    auto y = hn::Add(hn::Round(hn::Mul(hn::ConvertTo(df, sum), factor)), zero);
    y = hn::Min(hn::Max(y, hn::Set(df, low)), hn::Set(df, high));
    const auto whole = hn::DemoteTo(bytes, hn::Add(hn::ConvertTo(d, y), shift));
    if constexpr (partial) {
      uint8_t last[HWY_MAX_BYTES / sizeof(int32_t)];
      hn::StoreU(hn::Xor(whole, flip), bytes, last);
      std::memcpy(out + j, last, count);
    } else {
      hn::StoreU(hn::Xor(whole, flip), bytes, out + j);
    }
  });
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(correct);
HWY_EXPORT(quantize);

void correct_sums(const SumCorrection& c, const int32_t* sums, int64_t n, int32_t* out) {
  HWY_DYNAMIC_DISPATCH(correct)(c, sums, n, out);
}
void requantize(const Requantization& r, const SumCorrection& c, const int32_t* sums, int64_t n,
                uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(quantize)(r, c, sums, n, out);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
