// The layout in which a convolution is a sum of shifted vectors, without a matrix of windows.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "kernels/window.h"

namespace onnxrun {

// Copies a line of a picture, mostly so short that a call would cost more than the copy. The arrays
// do not overlap.
template <typename T>
inline void copy_line(const T* from, int64_t n, T* to) {
  constexpr int64_t chunk = 16 / sizeof(T);
  if (n > 16 * chunk) {
    std::copy_n(from, n, to);
    return;
  }
  // The last piece overlaps the one before.
  const auto copy_by = [&](auto piece) {
    constexpr int64_t elements = piece / sizeof(T);
    for (int64_t i = 0; i + elements < n; i += elements) std::memcpy(to + i, from + i, piece);
    std::memcpy(to + n - elements, from + n - elements, piece);
  };
  if (n >= chunk) {
    copy_by(std::integral_constant<size_t, 16>());
  } else if (2 * n >= chunk) {
    copy_by(std::integral_constant<size_t, 8>());
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  }
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
    // Lines of the last axis are not cut into phases: what a position of the kernel meets in window
    // p is plane[offset + p * stride].
    bool whole_lines = false;
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
  const Window& window() const { return window_; }
  // How many phases lines of the input are cut into.
  int64_t phases_of_lines() const { return phases_of_.back(); }
  // From what a window meets to what the next one does.
  int64_t step() const { return step_; }
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
  // Calls f(from, n, to) for lines of windows among flat indices [at, at + size): n elements from
  // flat index at + from on are those from output `to` on.
  template <typename F>
  void for_each_output_line(int64_t at, int64_t size, const F& f) const;

  // Lines along the last axis: those of the input that any window reads, with where they begin in a
  // plane, in order; and what of a line goes where from there on: from element `from` on, every one
  // that is as far from the last as there are phases.
  struct InputLine {
    int64_t number, at;
  };
  struct LinePhase {
    int64_t from, count, at;
  };
  const std::vector<InputLine>& input_lines() const { return input_lines_; }
  const std::vector<LinePhase>& line_phases() const { return phases_; }

 private:
  FlatWindows(const Window& w, bool whole_lines);

  void find_lines();
  void find_phases();
  template <typename T>
  void pack_line(const T* line, T* plane) const;

  Window window_;
  Dims phases_of_;           // an axis: how many phases it is cut into
  Dims pitch_, phase_step_;  // an axis: of the next position of a phase, of the next phase
  Dims reach_;               // positions of a phase, an axis
  int64_t plane_ = 0, size_ = 0;
  std::vector<int64_t> offsets_;
  int64_t step_;
  std::vector<InputLine> input_lines_;
  std::vector<int64_t> output_lines_;  // the flat indices at which lines of windows begin
  std::vector<LinePhase> phases_;
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

template <typename F>
inline void FlatWindows::for_each_output_line(int64_t at, int64_t size, const F& f) const {
  const int64_t length = window_.output.back();
  const auto begin = output_lines_.begin(), end = output_lines_.end();
  for (auto line = std::upper_bound(begin, end, at - length); line != end && *line < at + size;
       ++line) {
    const int64_t first = std::max(*line, at), last = std::min(*line + length, at + size);
    f(first - at, last - first, (line - begin) * length + first - *line);
  }
}

template <typename T>
void FlatWindows::unpack_output(const T* flat, int64_t at, int64_t size, T* y) const {
  for_each_output_line(
      at, size, [&](int64_t from, int64_t n, int64_t to) { copy_line(flat + from, n, y + to); });
}

template <typename T>
void FlatWindows::pack_line(const T* line, T* plane) const {
  const int64_t step = phases_of_.back();
  for (const LinePhase phase : phases_) {
    const T* from = line + phase.from;
    T* to = plane + phase.at;
    if (step == 1) {
      copy_line(from, phase.count, to);
    } else if (step == 2) {
      for (int64_t q = 0; q < phase.count; ++q) to[q] = from[2 * q];
    } else {
      for (int64_t q = 0; q < phase.count; ++q) to[q] = from[step * q];
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
