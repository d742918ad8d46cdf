#include "kernels/byte_neighbours.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_neighbours.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <fmt/format.h>

#include <cstring>

#include "kernels/byte_dots-inl.h"
#include "kernels/levels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// The words from `x` on.
template <class Dot>
HWY_INLINE Word words_from(const uint8_t* x) {
  const Words d;
#if HWY_TARGET == HWY_AVX3
  if constexpr (Dot::dots == Dots::Quads) {
    return hn::BitCast(d, hn::LoadU(hn::ScalableTag<uint8_t>(), x));
  }
#endif
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, x[0] | x[1] << 16);
#else
  const hn::Repartition<int16_t, Words> pairs;
  return hn::BitCast(d, hn::PromoteTo(pairs, hn::LoadU(hn::Rebind<uint8_t, decltype(pairs)>(), x)));
#endif
}

// Adds the sums of the windows from `x` on; sum i is that of every count-th window from the i-th
// on. Windows have K words, or n.words of them.
template <class Dot, int K, int count>
HWY_INLINE void add_words(const NeighbourWords& n, const int32_t* weights, const uint8_t* x,
                          Word (&sum)[count]) {
  const int64_t* at = n.at();
  const auto add = [&](int64_t word) HWY_ATTR {
    const Word weight = hn::Set(Words(), weights[word]);
    HWY_UNROLL(4)
    for (int i = 0; i < count; ++i) {
      sum[i] = Dot::add(weight, words_from<Dot>(x + at[word] + i), sum[i]);
    }
  };
  if constexpr (K > 0) {
    HWY_UNROLL(4)
    for (int word = 0; word < K; ++word) add(word);
  } else {
    for (int64_t word = 0; word < n.size(); ++word) add(word);
  }
}

// Calls take(j, sums) for all columns.
template <class Dot, int K, class Take>
HWY_INLINE void for_each_sum(const NeighbourSums& n, int64_t begin, int64_t columns,
                             const Take& take) {
  constexpr int count = static_cast<int>(Dot::dots);
  const Words d;
  const auto step = static_cast<int64_t>(count * hn::Lanes(d));
  for (int64_t j = 0; j < columns; j += step) {
    const uint8_t* x = n.planes + begin + j;
    Word sum[count];
    HWY_UNROLL(4)
    for (int i = 0; i < count; ++i) sum[i] = hn::Set(d, n.add);
    add_words<Dot, K>(n.words, n.weights, x, sum);
    if (n.zero != 0) {
      Word of_window[count];
      HWY_UNROLL(4)
      for (int i = 0; i < count; ++i) of_window[i] = hn::Zero(d);
      add_words<Dot, K>(n.words, n.words.ones(), x, of_window);
      HWY_UNROLL(4)
      for (int i = 0; i < count; ++i) {
        sum[i] = hn::Add(sum[i], hn::Mul(of_window[i], hn::Set(d, n.zero)));
      }
    }
    take(j, sum);
  }
}

template <class Dot, class Take>
HWY_INLINE void for_each_sum(const NeighbourSums& n, int64_t begin, int64_t columns,
                             const Take& take) {
  n.words.size() == 3 ? for_each_sum<Dot, 3>(n, begin, columns, take)
                      : for_each_sum<Dot, 0>(n, begin, columns, take);
}

void sum_all_neighbours(const NeighbourSums& n, int64_t begin, int64_t columns, int32_t* y) {
  with_dots(n.words.dots(), [&]<class Dot>() {
    for_each_sum<Dot>(n, begin, columns, [&](int64_t j, const auto& sum) HWY_ATTR {
      if constexpr (Dot::dots == Dots::Quads) {
        hn::StoreInterleaved4(sum[0], sum[1], sum[2], sum[3], Words(), y + j);
      } else {
        hn::StoreInterleaved2(sum[0], sum[1], Words(), y + j);
      }
    });
  });
}

void quantize_all_neighbours(const NeighbourSums& n, const Requantization& r, int64_t begin,
                             int64_t columns, uint8_t* y) {
  const LevelNumbers d;
  const auto zero = hn::Set(Words(), r.zero_point);
  const auto factor = hn::Set(d, r.factor);
  const LevelRounding rounding(r.is_signed);
  with_dots(n.words.dots(), [&]<class Dot>() {
    for_each_sum<Dot>(n, begin, columns, [&](int64_t j, auto& sum) HWY_ATTR {
      HWY_UNROLL(4)
      for (auto& v : sum) v = rounding(hn::Mul(hn::ConvertTo(d, v), factor), zero);
      rounding.store_turns(sum, y + j);
    });
  });
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(sum_all_neighbours);
HWY_EXPORT(quantize_all_neighbours);

NeighbourWords::NeighbourWords(const Window& w, int64_t channels, const FlatWindows& flat,
                               Dots dots)
    : dots_(dots), channels_(channels), places_(flat.offsets().size(), -1) {
  const auto terms = static_cast<int64_t>(dots), taps = static_cast<int64_t>(places_.size());
  const int64_t row = w.kernel.back(), step = w.strides.back(), apart = w.dilations.back();
  layout_ = fmt::format("neighbouring bytes, {} of {} apart", step, apart);
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (places_[static_cast<size_t>(tap)] >= 0) continue;
    // The windows' steps cut a line into phases, whose elements are neighbours.
    const int64_t end = tap - tap % row + row;
    for (int64_t other = tap; other < end && (other - tap) * apart < terms * step; ++other) {
      if ((other - tap) * apart % step != 0) continue;
      places_[static_cast<size_t>(other)] = size() * terms + (other - tap) * apart / step;
    }
    at_.push_back(flat.offsets()[static_cast<size_t>(tap)]);
  }
  const int64_t words = size();
  for (int64_t c = 1; c < channels; ++c) {
    for (int64_t i = 0; i < words; ++i) at_.push_back(c * flat.plane_size() + at_[i]);
  }
  ones_.resize(at_.size());
  const std::vector<uint8_t> all_ones(static_cast<size_t>(channels * taps), 1);
  pack({all_ones.data(), true}, ones_.data());
}

int32_t NeighbourWords::pack(const Bytes& w, int32_t* words) const {
  std::memset(words, 0, static_cast<size_t>(size()) * sizeof(int32_t));
  const auto shift = static_cast<uint8_t>(signed_shift(w.is_signed));
  const auto terms = static_cast<int64_t>(dots_);
  const size_t bytes = sizeof(int32_t) / static_cast<size_t>(terms);
  auto* to = reinterpret_cast<uint8_t*>(words);
  const uint8_t* from = w.data;
  int32_t sum = 0;
  for (int64_t c = 0; c < channels_; ++c) {
    const int64_t first = c * (size() / channels_) * terms;
    for (int64_t place : places_) {
      const int16_t v = static_cast<int8_t>(*from++ ^ shift);
      std::memcpy(to + static_cast<size_t>(first + place) * bytes, &v, bytes);
      sum += v;
    }
  }
  return sum;
}

void sum_neighbours(const NeighbourSums& n, int64_t begin, int64_t columns, int32_t* y) {
  HWY_DYNAMIC_DISPATCH(sum_all_neighbours)(n, begin, columns, y);
}

void quantize_neighbours(const NeighbourSums& n, const Requantization& r, int64_t begin,
                         int64_t columns, uint8_t* y) {
  HWY_DYNAMIC_DISPATCH(quantize_all_neighbours)(n, r, begin, columns, y);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
