#include "kernels/byte_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <limits>

#include "kernels/levels-inl.h"

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
  if (c.addends) v = hn::Add(v, load<partial>(d, c.addends + j, count));
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
  const LevelNumbers df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(df));
  const auto zero = hn::Set(Words(), r.zero_point);
  const LevelRounding rounding(r.is_signed);
  const auto level = [&]<bool partial>(int64_t j, size_t count) HWY_ATTR {
    const auto factor = r.factors ? load<partial>(df, r.factors + j, count) : hn::Set(df, r.factor);
    Word sum = corrected<partial>(c, sums, j, count);
    if (r.bias != 0) sum = add_saturating(sum, r.bias);
    return rounding(hn::Mul(hn::ConvertTo(df, sum), factor), zero);
  };
  const auto whole = [&](int64_t j) HWY_ATTR { return level.template operator()<false>(j, 0); };
  int64_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    rounding.store(whole(j), whole(j + lanes), whole(j + 2 * lanes), whole(j + 3 * lanes), out + j);
  }
  for (; j + lanes <= n; j += lanes) rounding.store(whole(j), out + j);
  if (j == n) return;
  const auto rest = static_cast<size_t>(n - j);
  rounding.store_first(level.template operator()<true>(j, rest), out + j, rest);
}

void scale(const Scaling& s, const SumCorrection& c, const int32_t* sums, int64_t n, float* out) {
  const LevelNumbers d;
  for_each_vector(n, [&]<bool partial>(int64_t j, size_t count) HWY_ATTR {
    const auto factor = s.factors ? load<partial>(d, s.factors + j, count) : hn::Set(d, s.factor);
    auto y = hn::Mul(hn::ConvertTo(d, corrected<partial>(c, sums, j, count)), factor);
    if (s.biases) y = hn::Add(y, load<partial>(d, s.biases + j, count));
    store<partial>(d, y, out + j, count);
  });
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(correct);
HWY_EXPORT(quantize);
HWY_EXPORT(scale);

void correct_sums(const SumCorrection& c, const int32_t* sums, int64_t n, int32_t* out) {
  HWY_DYNAMIC_DISPATCH(correct)(c, sums, n, out);
}
void requantize(const Requantization& r, const SumCorrection& c, const int32_t* sums, int64_t n,
                uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(quantize)(r, c, sums, n, out);
}
void scale_sums(const Scaling& s, const SumCorrection& c, const int32_t* sums, int64_t n,
                float* out) {
  HWY_DYNAMIC_DISPATCH(scale)(s, c, sums, n, out);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
