#include "kernels/byte_planes.h"

#include <algorithm>

#include "kernels/byte_lines.h"
#include "kernels/scratch.h"

namespace onnxrun {

WindowWords::Layout BytePlanes::layout_of(int64_t channels, const FlatWindows& flat, Dots dots) {
  const auto terms = static_cast<int64_t>(dots);
  const auto taps = static_cast<int64_t>(flat.offsets().size());
  Layout l;
  for (int64_t g = 0; g < words_of(dots, channels); ++g) {
    for (int64_t offset : flat.offsets()) l.at.push_back(g * flat.plane_size() + offset);
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      l.places.push_back((c / terms * taps + tap) * terms + c % terms);
    }
  }
  return l;
}

BytePlanes::BytePlanes(int64_t channels, const FlatWindows& flat, Dots dots)
    : WindowWords(dots, layout_of(channels, flat, dots)),
      channels_(channels),
      groups_(words_of(dots, channels)),
      plane_(flat.plane_size()) {}

bool BytePlanes::fit(int64_t channels, int64_t taps, int64_t outputs, Dots dots) {
  // Putting a word together takes as long as multiplying it with so many rows.
  constexpr int64_t rows = 8;
  const int64_t groups = words_of(dots, channels), terms = static_cast<int64_t>(dots);
  const bool fills = channels >= terms && 3 * groups * terms <= 4 * channels;
  return fills && groups * taps * outputs <= words_of(dots, channels * taps) * (outputs + rows);
}

void BytePlanes::fill(const FlatWindows& flat, const Bytes& x, uint8_t padding,
                      int32_t* words) const {
  const auto terms = static_cast<int64_t>(dots());
  const int64_t size = flat.window().input_size();
  Scratch scratch(static_cast<size_t>(terms * plane_ + plane_slack));
  auto* bytes = scratch.as<uint8_t>();
  for (int64_t g = 0; g < groups_; ++g) {
    const int64_t first = g * terms, count = std::min(terms, channels_ - first);
    pack_planes(flat, {x.data + first * size, x.is_signed}, count, padding, bytes);
    const uint8_t* rows[4];
    // Channels that are not there have weights of 0.
    for (int64_t t = 0; t < terms; ++t) rows[t] = bytes + std::min(t, count - 1) * plane_;
    interleave_bytes(dots(), rows, plane_, words + g * plane_);
  }
}

}  // namespace onnxrun
