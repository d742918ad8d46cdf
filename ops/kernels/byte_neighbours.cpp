#include "kernels/byte_neighbours.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_neighbours.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <fmt/format.h>

#include <algorithm>
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

#if HWY_TARGET == HWY_AVX3
using ByteVector = hn::ScalableTag<uint8_t>;
constexpr int64_t byte_lanes = 64;

// Calls f(line, place) with where each line of the input begins and where in the planes.
template <class F>
HWY_INLINE void for_each_line(const FlatWindows& f, const Bytes& x, int64_t channels,
                              uint8_t* planes, const F& take) {
  const int64_t length = f.window().input.back(), size = f.window().input_size();
  for (int64_t c = 0; c < channels; ++c) {
    const uint8_t* image = x.data + c * size;
    uint8_t* plane = planes + c * f.plane_size();
    for (const FlatWindows::InputLine line : f.input_lines()) {
      take(image + line.number * length, plane + line.at);
    }
  }
}

// Vectors are written whole: behind a line they hold padding, and what lies there else is written
// later.
HWY_INLINE void fill_lines(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                           uint8_t* planes) {
  const ByteVector d;
  const auto shift = hn::Set(d, static_cast<uint8_t>(unsigned_shift(x.is_signed)));
  const auto fill = hn::Set(d, padding);
  const FlatWindows::LinePhase phase = f.line_phases().front();
  const auto mask = hn::FirstN(d, static_cast<size_t>((phase.count - 1) % byte_lanes + 1));
  for_each_line(f, x, channels, planes, [=](const uint8_t* line, uint8_t* place) HWY_ATTR {
    const uint8_t* in = line + phase.from;
    uint8_t* out = place + phase.at;
    int64_t at = 0;
    for (; at + byte_lanes < phase.count; at += byte_lanes) {
      hn::StoreU(hn::Xor(hn::LoadU(d, in + at), shift), d, out + at);
    }
    const auto last = hn::Xor(hn::MaskedLoad(mask, d, in + at), shift);
    hn::StoreU(hn::IfThenElse(mask, last, fill), d, out + at);
  });
}

// Every other byte.
HWY_INLINE void fill_halves(const FlatWindows& f, const Bytes& x, int64_t channels,
                            uint8_t* planes) {
  const ByteVector d;
  const hn::Repartition<int16_t, ByteVector> pairs;
  const hn::Rebind<uint8_t, decltype(pairs)> half;
  const auto shift = hn::Set(half, static_cast<uint8_t>(unsigned_shift(x.is_signed)));
  const auto low = hn::Set(pairs, 0xFF);
  const auto& phases = f.line_phases();
  for_each_line(f, x, channels, planes, [&](const uint8_t* line, uint8_t* place) HWY_ATTR {
    for (const FlatWindows::LinePhase phase : phases) {
      for (int64_t at = 0; at < phase.count; at += byte_lanes / 2) {
        const int64_t count = HWY_MIN(byte_lanes / 2, phase.count - at);
        const auto there = hn::FirstN(d, static_cast<size_t>(2 * count - 1));
        const auto both = hn::MaskedLoad(there, d, line + phase.from + 2 * at);
        const auto one = hn::DemoteTo(half, hn::And(hn::BitCast(pairs, both), low));
        const auto mask = hn::FirstN(half, static_cast<size_t>(count));
        hn::BlendedStore(hn::Xor(one, shift), mask, half, place + phase.at + at);
      }
    }
  });
}
#endif

void pack_all_planes(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                     uint8_t* planes) {
  const int64_t size = channels * f.plane_size() + FlatWindows::slack;
  const auto shift = static_cast<uint8_t>(unsigned_shift(x.is_signed));
#if HWY_TARGET == HWY_AVX3
  if (f.phases_of_lines() <= 2 && !f.line_phases().empty()) {
    std::memset(planes, padding ^ shift, static_cast<size_t>(size));
    return f.phases_of_lines() == 1 ? fill_lines(f, x, channels, padding ^ shift, planes)
                                    : fill_halves(f, x, channels, planes);
  }
#endif
  f.pack_input(x.data, channels, planes, padding);
  if (shift != 0) std::transform(planes, planes + size, planes, [](uint8_t v) { return v ^ 0x80; });
}

void unpack_lines(const FlatWindows& f, const uint8_t* flat, int64_t at, int64_t size, uint8_t* y) {
#if HWY_TARGET == HWY_AVX3
  const ByteVector d;
  f.for_each_output_line(at, size, [&](int64_t from, int64_t n, int64_t to) HWY_ATTR {
    const uint8_t* in = flat + from;
    uint8_t* out = y + to;
    for (; n >= byte_lanes; n -= byte_lanes, in += byte_lanes, out += byte_lanes) {
      hn::StoreU(hn::LoadU(d, in), d, out);
    }
    const auto mask = hn::FirstN(d, static_cast<size_t>(n));
    hn::BlendedStore(hn::MaskedLoad(mask, d, in), mask, d, out);
  });
#else
  f.unpack_output(flat, at, size, y);
#endif
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(sum_all_neighbours);
HWY_EXPORT(quantize_all_neighbours);
HWY_EXPORT(pack_all_planes);
HWY_EXPORT(unpack_lines);

std::optional<FlatWindows> neighbour_windows(const Window& w, int64_t channels,
                                             FlatWindows::Limits limits, Dots dots) {
  limits.whole_lines = static_cast<int64_t>(dots) % w.strides.back() == 0;
  return FlatWindows::of(w, channels, limits);
}

void pack_planes(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                 uint8_t* planes) {
  HWY_DYNAMIC_DISPATCH(pack_all_planes)(f, x, channels, padding, planes);
}

NeighbourWords::NeighbourWords(const Window& w, int64_t channels, const FlatWindows& flat,
                               Dots dots)
    : dots_(dots), channels_(channels), step_(flat.step()), places_(flat.offsets().size(), -1) {
  const auto terms = static_cast<int64_t>(dots), taps = static_cast<int64_t>(places_.size());
  const int64_t row = w.kernel.back(), apart = w.dilations.back();
  const int64_t step = w.strides.back() / step_;
  layout_ = fmt::format("neighbouring bytes, {} of {} apart", step, apart);
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (places_[static_cast<size_t>(tap)] >= 0) continue;
    // Windows that are further apart cut a line into phases, whose elements are neighbours.
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

void unpack_bytes(const FlatWindows& f, const uint8_t* flat, int64_t at, int64_t size, uint8_t* y) {
  HWY_DYNAMIC_DISPATCH(unpack_lines)(f, flat, at, size, y);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
