#include "kernels/byte_planes.h"

#include <algorithm>
#include <cstring>

#include "kernels/byte_neighbours.h"
#include "kernels/scratch.h"

namespace onnxrun {

BytePlanes::BytePlanes(int64_t channels, const FlatWindows& flat, Dots dots)
    : dots_(dots),
      channels_(channels),
      groups_(words_of(dots, channels)),
      taps_(static_cast<int64_t>(flat.offsets().size())),
      plane_(flat.plane_size()) {
  for (int64_t g = 0; g < groups_; ++g) {
    for (int64_t offset : flat.offsets()) at_.push_back(g * plane_ + offset);
  }
  ones_.resize(at_.size());
  const std::vector<uint8_t> all_ones(static_cast<size_t>(channels * taps_), 1);
  pack({all_ones.data(), true}, ones_.data());
}

bool BytePlanes::fit(int64_t channels, int64_t taps, int64_t outputs, Dots dots) {
  // Putting a word together takes as long as multiplying it with so many rows.
  constexpr int64_t rows = 8;
  const int64_t groups = words_of(dots, channels), terms = static_cast<int64_t>(dots);
  const bool fills = channels >= terms && 3 * groups * terms <= 4 * channels;
  return fills && groups * taps * outputs <= words_of(dots, channels * taps) * (outputs + rows);
}

int32_t BytePlanes::pack(const Bytes& w, int32_t* words) const {
  std::memset(words, 0, static_cast<size_t>(size()) * sizeof(int32_t));
  const auto shift = static_cast<uint8_t>(signed_shift(w.is_signed));
  const auto terms = static_cast<int64_t>(dots_);
  const size_t bytes = sizeof(int32_t) / static_cast<size_t>(terms);
  auto* to = reinterpret_cast<uint8_t*>(words);
  int32_t sum = 0;
  for (int64_t c = 0; c < channels_; ++c) {
    for (int64_t tap = 0; tap < taps_; ++tap) {
      const int16_t v = static_cast<int8_t>(w.data[c * taps_ + tap] ^ shift);
      const int64_t place = (c / terms * taps_ + tap) * terms + c % terms;
      std::memcpy(to + static_cast<size_t>(place) * bytes, &v, bytes);
      sum += v;
    }
  }
  return sum;
}

void BytePlanes::fill(const FlatWindows& flat, const Bytes& x, uint8_t padding,
                      int32_t* words) const {
  const auto terms = static_cast<int64_t>(dots_);
  const int64_t size = flat.window().input_size();
  Scratch scratch(static_cast<size_t>(terms * plane_ + neighbour_slack));
  auto* bytes = scratch.as<uint8_t>();
  for (int64_t g = 0; g < groups_; ++g) {
    const int64_t first = g * terms, count = std::min(terms, channels_ - first);
    pack_planes(flat, {x.data + first * size, x.is_signed}, count, padding, bytes);
    const uint8_t* rows[4];
    // Channels that are not there have weights of 0.
    for (int64_t t = 0; t < terms; ++t) rows[t] = bytes + std::min(t, count - 1) * plane_;
    interleave_bytes(dots_, rows, plane_, words + g * plane_);
  }
}

}  // namespace onnxrun
