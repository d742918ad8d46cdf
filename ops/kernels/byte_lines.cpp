#include "kernels/byte_lines.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_lines.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

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

HWY_EXPORT(pack_all_planes);
HWY_EXPORT(unpack_lines);

void pack_planes(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                 uint8_t* planes) {
  HWY_DYNAMIC_DISPATCH(pack_all_planes)(f, x, channels, padding, planes);
}

void unpack_bytes(const FlatWindows& f, const uint8_t* flat, int64_t at, int64_t size, uint8_t* y) {
  HWY_DYNAMIC_DISPATCH(unpack_lines)(f, flat, at, size, y);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
