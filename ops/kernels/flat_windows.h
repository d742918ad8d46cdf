// The layout in which a convolution is a sum of shifted vectors, without a matrix of windows.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "kernels/window.h"

namespace onnxrun {

// Copies a line of a picture, mostly so short that a call would cost more than the copy. The arrays
// do not overlap.
template <typename T>
inline void copy_line(const T* from, int64_t n, T* to) {
  constexpr int64_t chunk = 16 / sizeof(T);
  if (n < chunk || n > 16 * chunk) {
    std::copy_n(from, n, to);
    return;
  }
  for (int64_t i = 0; i + chunk < n; i += chunk) std::memcpy(to + i, from + i, 16);
  std::memcpy(to + n - chunk, from + n - chunk, 16);
}

// Each channel lies in a plane: padded, and cut into phases, one for each remainder of the
// positions modulo the strides. Windows are counted by a flat index, in which a step along axis i
// is pitch(i). What one position of the kernel meets in window p is then plane[offset + p],
// whatever p is. Flat indices between the end of a line of windows and the next line stand for no
// window.
class FlatWindows {
 public:
  // None where the planes of `channels` channels would be more than caches hold, mostly padding, or
  // most flat indices would stand for no window.
  // Limits are those of floats unless given.
  struct Limits {
    int64_t elements = int64_t{1} << 18;  // of all planes
    int64_t channels = 128;               // more have their rows too far apart for the caches
  };
  static std::optional<FlatWindows> of(const Window& w, int64_t channels, const Limits& limits);
  static std::optional<FlatWindows> of(const Window& w, int64_t channels) {
    return of(w, channels, {});
  }

  // As many elements as the longest vector has: a kernel works on whole ones, and may read that
  // much behind the last plane.
  static constexpr int64_t slack = 64;

  int64_t plane_size() const { return plane_; }
  // One more than the flat index of the last window.
  int64_t size() const { return size_; }
  // size() rounded up to whole vectors.
  int64_t padded_size() const { return (size_ + slack - 1) / slack * slack; }
  // Of the kernel's positions, in row-major order.
  const std::vector<int64_t>& offsets() const { return offsets_; }

  // Fills channels * plane_size() + slack elements.
  template <typename T>
  void pack_input(const T* x, int64_t channels, T* planes, T padding = T{0}) const;
  // One channel of outputs to padded_size() elements, 0 where no window is.
  template <typename T>
  void pack_output(const T* y, T* flat) const;
  // The outputs at flat indices [at, at + size), which `flat` holds, to their places in y.
  template <typename T>
  void unpack_output(const T* flat, int64_t at, int64_t size, T* y) const;

 private:
  explicit FlatWindows(const Window& w);

  void find_lines();
  template <typename T>
  void pack_line(const T* line, T* plane) const;

  Window window_;
  Dims pitch_, phase_step_;  // an axis: of the next position of a phase, of the next phase
  Dims reach_;               // positions of a phase, an axis
  int64_t plane_ = 0, size_ = 0;
  std::vector<int64_t> offsets_;
  // Lines along the last axis: those of the input that any window reads, with where they begin in a
  // plane, and the flat indices at which those of windows begin.
  struct InputLine {
    int64_t number, at;
  };
  std::vector<InputLine> input_lines_;
  std::vector<int64_t> output_lines_;
};

template <typename T>
void FlatWindows::pack_output(const T* y, T* flat) const {
  int64_t length = window_.output.back(), filled = 0;
  for (int64_t at : output_lines_) {
    std::fill(flat + filled, flat + at, T{0});
    copy_line(y, length, flat + at);
    y += length;
    filled = at + length;
  }
  std::fill(flat + filled, flat + padded_size(), T{0});
}

template <typename T>
void FlatWindows::unpack_output(const T* flat, int64_t at, int64_t size, T* y) const {
  const int64_t length = window_.output.back();
  auto line = std::upper_bound(output_lines_.begin(), output_lines_.end(), at - length);
  for (; line != output_lines_.end() && *line < at + size; ++line) {
    const int64_t begin = std::max(*line, at), end = std::min(*line + length, at + size);
    copy_line(flat + begin - at, end - begin,
              y + (line - output_lines_.begin()) * length + begin - *line);
  }
}

template <typename T>
void FlatWindows::pack_line(const T* line, T* plane) const {
  int64_t step = window_.strides.back(), pad = window_.pads.back();
  int64_t length = window_.input.back(), reach = reach_.back();
  for (int64_t phase = 0; phase < step; ++phase, plane += phase_step_.back()) {
    int64_t shift = pad - phase;  // element q of the phase is element q * step - shift of the line
    int64_t first = std::max<int64_t>(0, (shift + step - 1) / step);
    int64_t last = std::min(reach, length + shift > 0 ? (length + shift + step - 1) / step : 0);
    if (first >= last) continue;
    const T* from = line + first * step - shift;
    if (step == 1) {
      copy_line(from, last - first, plane + first);
    } else if (step == 2) {
      for (int64_t q = 0; q < last - first; ++q) plane[first + q] = from[2 * q];
    } else {
      for (int64_t q = 0; q < last - first; ++q) plane[first + q] = from[step * q];
    }
  }
}

template <typename T>
void FlatWindows::pack_input(const T* x, int64_t channels, T* planes, T padding) const {
  std::fill_n(planes, channels * plane_ + slack, padding);
  const int64_t length = window_.input.back(), size = window_.input_size();
  for (int64_t c = 0; c < channels; ++c, x += size, planes += plane_) {
    for (const InputLine& line : input_lines_)
      pack_line(x + line.number * length, planes + line.at);
  }
}

}  // namespace onnxrun
