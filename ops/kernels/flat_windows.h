// The layout in which a convolution is a sum of shifted vectors, without a matrix of windows.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/window.h"

namespace onnxrun {

// Each channel lies in a plane: padded, and cut into phases, one for each remainder of the
// positions modulo the strides. Windows are counted by a flat index, in which a step along axis i
// is pitch(i). What one position of the kernel meets in window p is then plane[offset + p],
// whatever p is. Flat indices between the end of a line of windows and the next line stand for no
// window.
class FlatWindows {
 public:
  // None where the planes of `channels` channels would be more than caches hold, mostly padding, or
  // most flat indices would stand for no window.
  static std::optional<FlatWindows> of(const Window& w, int64_t channels);

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
  void pack_input(const T* x, int64_t channels, T* planes) const;
  // One channel of outputs to padded_size() elements, 0 where no window is, and back.
  template <typename T>
  void pack_output(const T* y, T* flat) const;
  template <typename T>
  void unpack_output(const T* flat, T* y) const;

 private:
  explicit FlatWindows(const Window& w);

  // Calls f(flat index, line) for every line of windows along the last axis.
  template <typename F>
  void for_each_line(const F& f) const;
  template <typename T>
  void pack_line(const T* line, T* plane) const;

  Window window_;
  Dims pitch_, phase_step_;  // an axis: of the next position of a phase, of the next phase
  Dims reach_;               // positions of a phase, an axis
  int64_t plane_ = 0, size_ = 0;
  std::vector<int64_t> offsets_;
};

template <typename F>
void FlatWindows::for_each_line(const F& f) const {
  size_t inner = window_.rank() - 1;
  int64_t lines = window_.output_size() / window_.output[inner];
  for (int64_t line = 0; line < lines; ++line) {
    int64_t rest = line, at = 0;
    for (size_t i = inner; i-- > 0; rest /= window_.output[i]) {
      at += rest % window_.output[i] * pitch_[i];
    }
    f(at, line);
  }
}

template <typename T>
void FlatWindows::pack_output(const T* y, T* flat) const {
  int64_t length = window_.output.back(), filled = 0;
  for_each_line([&](int64_t at, int64_t line) {
    std::fill(flat + filled, flat + at, T{0});
    std::copy_n(y + line * length, length, flat + at);
    filled = at + length;
  });
  std::fill(flat + filled, flat + padded_size(), T{0});
}

template <typename T>
void FlatWindows::unpack_output(const T* flat, T* y) const {
  int64_t length = window_.output.back();
  for_each_line(
      [&](int64_t at, int64_t line) { std::copy_n(flat + at, length, y + line * length); });
}

template <typename T>
void FlatWindows::pack_line(const T* line, T* plane) const {
  int64_t step = window_.strides.back(), pad = window_.pads.back();
  int64_t length = window_.input.back(), reach = reach_.back();
  for (int64_t phase = 0; phase < step; ++phase, plane += phase_step_.back()) {
    int64_t shift = pad - phase;  // element q of the phase is element q * step - shift of the line
    int64_t first = std::max<int64_t>(0, (shift + step - 1) / step);
    int64_t last = std::min(reach, length + shift > 0 ? (length + shift + step - 1) / step : 0);
    if (step == 1 && first < last) {
      std::copy(line + first - shift, line + last - shift, plane + first);
    } else {
      for (int64_t q = first; q < last; ++q) plane[q] = line[q * step - shift];
    }
  }
}

template <typename T>
void FlatWindows::pack_input(const T* x, int64_t channels, T* planes) const {
  std::fill_n(planes, channels * plane_ + slack, T{0});
  size_t inner = window_.rank() - 1;
  int64_t length = window_.input[inner], lines = window_.input_size() / length;
  for (int64_t line = 0; line < lines; ++line) {
    int64_t rest = line, at = 0;
    bool read = true;
    for (size_t i = inner; i-- > 0; rest /= window_.input[i]) {
      int64_t position = rest % window_.input[i] + window_.pads[i], step = window_.strides[i];
      read = read && position >= 0 && position / step < reach_[i];
      at += position % step * phase_step_[i] + position / step * pitch_[i];
    }
    if (!read) continue;
    for (int64_t c = 0; c < channels; ++c) {
      pack_line(x + (c * lines + line) * length, planes + c * plane_ + at);
    }
  }
}

}  // namespace onnxrun
