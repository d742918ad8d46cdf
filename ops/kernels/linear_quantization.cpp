#include "kernels/linear_quantization.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/linear_quantization.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/threads.h"
#include "kernels/levels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

using Numbers = LevelNumbers;

// The lists' elements from j on, or what is there for all.
template <bool lists>
struct Scales {
  const LinearScale& s;

  HWY_INLINE hn::Vec<Numbers> scale(int64_t j) const {
    return lists ? hn::LoadU(Numbers(), s.scales + j) : hn::Set(Numbers(), s.scale);
  }
  HWY_INLINE hn::Vec<Levels> zero(int64_t j) const {
    return lists && s.zero_points ? hn::LoadU(Levels(), s.zero_points + j)
                                  : hn::Set(Levels(), s.zero_point);
  }
};

template <bool lists>
HWY_INLINE void quantize_some(const LinearScale& s, const float* x, int64_t n, uint8_t* y) {
  const Numbers d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Scales<lists> scales{s};
  const LevelRounding rounding(s.is_signed);
  const auto level = [&](int64_t j) HWY_ATTR {
    return rounding(hn::Div(hn::LoadU(d, x + j), scales.scale(j)), scales.zero(j));
  };
  int64_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    rounding.store(level(j), level(j + lanes), level(j + 2 * lanes), level(j + 3 * lanes), y + j);
  }
  for (; j + lanes <= n; j += lanes) rounding.store(level(j), y + j);
  if (j == n) return;
  const auto rest = static_cast<size_t>(n - j);
  const auto scale = lists ? load_first(d, s.scales + j, rest) : hn::Set(d, s.scale);
  const auto zero = lists && s.zero_points ? load_first(Levels(), s.zero_points + j, rest)
                                           : hn::Set(Levels(), s.zero_point);
  rounding.store_first(rounding(hn::Div(load_first(d, x + j, rest), scale), zero), y + j, rest);
}

template <typename Byte, bool lists>
HWY_INLINE void dequantize_some(const LinearScale& s, const Byte* x, int64_t n, float* y) {
  const Numbers d;
  const Levels di;
  const hn::Rebind<Byte, Numbers> bytes;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Scales<lists> scales{s};
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    const auto level = hn::PromoteTo(di, hn::LoadU(bytes, x + j));
    const auto number = hn::ConvertTo(d, hn::Sub(level, scales.zero(j)));
    hn::StoreU(hn::Mul(number, scales.scale(j)), d, y + j);
  }
  for (; j < n; ++j) {
    const int32_t zero = lists && s.zero_points ? s.zero_points[j] : s.zero_point;
    y[j] = static_cast<float>(x[j] - zero) * (lists ? s.scales[j] : s.scale);
  }
}

void quantize_floats(const LinearScale& s, const float* x, int64_t n, uint8_t* y) {
  s.scales ? quantize_some<true>(s, x, n, y) : quantize_some<false>(s, x, n, y);
}

void dequantize_bytes(const LinearScale& s, const uint8_t* x, int64_t n, float* y) {
  const auto* negative = reinterpret_cast<const int8_t*>(x);
  if (s.is_signed) {
    s.scales ? dequantize_some<int8_t, true>(s, negative, n, y)
             : dequantize_some<int8_t, false>(s, negative, n, y);
  } else {
    s.scales ? dequantize_some<uint8_t, true>(s, x, n, y)
             : dequantize_some<uint8_t, false>(s, x, n, y);
  }
}

Extent find_range(const float* x, int64_t n) {
  const Numbers d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int together = 4;
  hn::Vec<Numbers> low[together], high[together], seen[together];
  for (int i = 0; i < together; ++i) {
    low[i] = high[i] = hn::Set(d, x[0]);
    seen[i] = hn::Zero(d);
  }
  int64_t j = 0;
  for (; j + together * lanes <= n; j += together * lanes) {
    HWY_UNROLL(8)
    for (int i = 0; i < together; ++i) {
      const auto v = hn::LoadU(d, x + j + i * lanes);
      low[i] = hn::Min(v, low[i]);
      high[i] = hn::Max(v, high[i]);
      // NaN once one of them is.
      seen[i] = hn::IfThenElse(hn::Eq(v, v), seen[i], v);
    }
  }
  float least = x[0], greatest = x[0];
  bool is_nan = false;
  for (int i = 0; i < together; ++i) {
    least = std::fmin(least, hn::GetLane(hn::MinOfLanes(d, low[i])));
    greatest = std::fmax(greatest, hn::GetLane(hn::MaxOfLanes(d, high[i])));
    is_nan = is_nan || !hn::AllTrue(d, hn::Eq(seen[i], seen[i]));
  }
  for (; j < n; ++j) {
    least = std::fmin(least, x[j]);
    greatest = std::fmax(greatest, x[j]);
    is_nan = is_nan || std::isnan(x[j]);
  }
  if (is_nan || std::isnan(x[0])) {
    least = greatest = std::numeric_limits<float>::quiet_NaN();
  }
  return {least, greatest};
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(quantize_floats);
HWY_EXPORT(dequantize_bytes);
HWY_EXPORT(find_range);

void quantize_linear(const LinearScale& s, const float* x, int64_t n, uint8_t* y) {
  HWY_DYNAMIC_DISPATCH(quantize_floats)(s, x, n, y);
}
void dequantize_linear(const LinearScale& s, const uint8_t* x, int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(dequantize_bytes)(s, x, n, y);
}
Extent range_of(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(find_range)(x, n); }

namespace {

constexpr int64_t grain = 1 << 16;  // elements that are worth a piece of a parallel loop

// That of all numbers and 0.
Extent range_of_all(const float* x, int64_t n) {
  std::vector<Extent> parts(static_cast<size_t>((n + grain - 1) / grain));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (; begin < end; begin += grain) {
      parts[static_cast<size_t>(begin / grain)] = range_of(x + begin, std::min(grain, end - begin));
    }
  });
  Extent all{0, 0};
  for (const Extent& part : parts) {
    if (std::isnan(part.low)) return part;
    all = {std::min(all.low, part.low), std::max(all.high, part.high)};
  }
  return all;
}

}  // namespace

// In single precision and in the order of the standard's formulas.
LinearScale quantize_dynamically(const float* x, int64_t n, uint8_t* y) {
  const Extent range = range_of_all(x, n);
  const float span = range.high - range.low;
  LinearScale s{.scale = (span == 0 ? 1.0F : span) / 255.0F};
  const float point = -range.low / s.scale;
  if (!std::isnan(point)) {
    s.zero_point = static_cast<int32_t>(std::nearbyint(std::clamp(point, 0.0F, 255.0F)));
  }
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    quantize_linear(s, x + begin, end - begin, y + begin);
  });
  return s;
}

}  // namespace onnxrun
#endif  // HWY_ONCE
