#include "kernels/byte_neighbours.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_neighbours.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <fmt/format.h>

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

// One output channel's weights, of K words (if not 0), which are then in registers. Windows' words
// are S bytes apart.
template <class Dot, int K, int S>
class Weights {
 public:
  static constexpr int count = static_cast<int>(Dot::dots) / S;

  HWY_INLINE Weights(const NeighbourWords& n, const int32_t* weights)
      : at_(n.at()), weights_(weights), words_(n.size()) {
    HWY_UNROLL(4)
    for (int word = 0; word < K; ++word) {
      first_at_[word] = at_[word];
      first_[word] = hn::Set(Words(), weights[word]);
    }
  }

  // Adds the sums of the windows from `x` on; sum i is that of every count-th window from the i-th
  // on.
  HWY_INLINE void add(const uint8_t* x, Word (&sum)[count]) const {
    if constexpr (K > 0) {
      HWY_UNROLL(4)
      for (int word = 0; word < K; ++word) add(first_[word], x + first_at_[word], sum);
    } else {
      for (int64_t word = 0; word < words_; ++word) {
        add(hn::Set(Words(), weights_[word]), x + at_[word], sum);
      }
    }
  }

 private:
  static HWY_INLINE void add(Word weight, const uint8_t* x, Word (&sum)[count]) {
    HWY_UNROLL(4)
    for (int i = 0; i < count; ++i) sum[i] = Dot::add(weight, words_from<Dot>(x + i * S), sum[i]);
  }

  const int64_t* at_;
  const int32_t* weights_;
  int64_t words_;
  Word first_[K > 0 ? K : 1];
  int64_t first_at_[K > 0 ? K : 1];
};

// Calls take(j, sums) for all columns. What it reads is copied, as bytes that are written could be
// any of it.
template <class Dot, int K, int S, class Take>
HWY_INLINE void for_each_sum(const NeighbourSums& n, int64_t begin, int64_t columns,
                             const Take& take) {
  using W = Weights<Dot, K, S>;
  const Words d;
  const auto together = static_cast<int64_t>(W::count * hn::Lanes(d));
  const W weights(n.words, n.weights), ones(n.words, n.words.ones());
  const Word start = hn::Set(d, n.add), zero = hn::Set(d, n.zero);
  const bool has_zero = n.zero != 0;
  const Take take_copy = take;
  const uint8_t* x = n.planes + begin * S;
  for (int64_t j = 0; j < columns; j += together, x += together * S) {
    Word sum[W::count];
    HWY_UNROLL(4)
    for (int i = 0; i < W::count; ++i) sum[i] = start;
    weights.add(x, sum);
    if (has_zero) {
      Word of_window[W::count];
      HWY_UNROLL(4)
      for (int i = 0; i < W::count; ++i) of_window[i] = hn::Zero(d);
      ones.add(x, of_window);
      HWY_UNROLL(4)
      for (int i = 0; i < W::count; ++i) sum[i] = hn::Add(sum[i], hn::Mul(of_window[i], zero));
    }
    take_copy(j, sum);
  }
}

template <class Dot, int S, class Take>
HWY_INLINE void for_each_sum(const NeighbourSums& n, int64_t begin, int64_t columns,
                             const Take& take) {
  n.words.size() == 3 ? for_each_sum<Dot, 3, S>(n, begin, columns, take)
                      : for_each_sum<Dot, 0, S>(n, begin, columns, take);
}

template <class Take>
HWY_INLINE void for_each_sum(const NeighbourSums& n, int64_t begin, int64_t columns,
                             const Take& take) {
  with_dots(n.words.dots(), [&]<class Dot>() {
    if (n.words.step() == 1) return for_each_sum<Dot, 1>(n, begin, columns, take);
    if (n.words.step() == 2) return for_each_sum<Dot, 2>(n, begin, columns, take);
    if constexpr (Dot::dots == Dots::Quads) for_each_sum<Dot, 4>(n, begin, columns, take);
  });
}

void sum_all_neighbours(const NeighbourSums& n, int64_t begin, int64_t columns, int32_t* y) {
  const Words d;
  for_each_sum(n, begin, columns, [=]<int count>(int64_t j, const Word(&sum)[count]) HWY_ATTR {
    if constexpr (count == 4) {
      hn::StoreInterleaved4(sum[0], sum[1], sum[2], sum[3], d, y + j);
    } else if constexpr (count == 2) {
      hn::StoreInterleaved2(sum[0], sum[1], d, y + j);
    } else {
      hn::StoreU(sum[0], d, y + j);
    }
  });
}

void quantize_all_neighbours(const NeighbourSums& n, const Requantization& r, int64_t begin,
                             int64_t columns, uint8_t* y) {
  const LevelNumbers d;
  const auto zero = hn::Set(Words(), r.zero_point);
  const auto factor = hn::Set(d, r.factor);
  const LevelRounding rounding(r.is_signed);
  for_each_sum(n, begin, columns, [=]<int count>(int64_t j, Word(&sum)[count]) HWY_ATTR {
    HWY_UNROLL(4)
    for (auto& v : sum) v = rounding(hn::Mul(hn::ConvertTo(d, v), factor), zero);
    rounding.store_turns(sum, y + j);
  });
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(sum_all_neighbours);
HWY_EXPORT(quantize_all_neighbours);

std::optional<FlatWindows> neighbour_windows(const Window& w, int64_t channels,
                                             FlatWindows::Limits limits, Dots dots) {
  limits.whole_lines = static_cast<int64_t>(dots) % w.strides.back() == 0;
  return FlatWindows::of(w, channels, limits);
}

WindowWords::Layout NeighbourWords::layout_of(const Window& w, int64_t channels,
                                              const FlatWindows& flat, Dots dots) {
  const auto terms = static_cast<int64_t>(dots);
  const auto taps = static_cast<int64_t>(flat.offsets().size());
  const int64_t row = w.kernel.back(), apart = w.dilations.back();
  // Windows that are further apart cut a line into phases, whose elements are neighbours.
  const int64_t step = w.strides.back() / flat.step();
  Layout l{{}, std::vector<int64_t>(flat.offsets().size(), -1)};
  const auto size = [&] { return static_cast<int64_t>(l.at.size()); };
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (l.places[static_cast<size_t>(tap)] >= 0) continue;
    const int64_t end = tap - tap % row + row;
    for (int64_t other = tap; other < end && (other - tap) * apart < terms * step; ++other) {
      if ((other - tap) * apart % step != 0) continue;
      l.places[static_cast<size_t>(other)] = size() * terms + (other - tap) * apart / step;
    }
    l.at.push_back(flat.offsets()[static_cast<size_t>(tap)]);
  }
  const Layout first = l;
  const int64_t words = size();
  for (int64_t c = 1; c < channels; ++c) {
    for (int64_t at : first.at) l.at.push_back(c * flat.plane_size() + at);
    for (int64_t place : first.places) l.places.push_back(c * words * terms + place);
  }
  return l;
}

NeighbourWords::NeighbourWords(const Window& w, int64_t channels, const FlatWindows& flat,
                               Dots dots)
    : WindowWords(dots, layout_of(w, channels, flat, dots)),
      step_(flat.step()),
      name_(fmt::format("neighbouring bytes, {} of {} apart", w.strides.back() / step_,
                        w.dilations.back())) {}

void sum_neighbours(const NeighbourSums& n, int64_t begin, int64_t columns, int32_t* y) {
  HWY_DYNAMIC_DISPATCH(sum_all_neighbours)(n, begin, columns, y);
}

void quantize_neighbours(const NeighbourSums& n, const Requantization& r, int64_t begin,
                         int64_t columns, uint8_t* y) {
  HWY_DYNAMIC_DISPATCH(quantize_all_neighbours)(n, r, begin, columns, y);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
