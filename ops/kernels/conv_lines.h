// Which elements of its input a line of a convolution's output is made of.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/window.h"

namespace onnxrun {

// What one position of the kernel meets along a line: pixel p of it, `input` + p * step() of the
// plane. The first `left` and the last `right` pixels may meet padding that is not in the plane.
struct LineTap {
  int64_t input = 0;
  int64_t position = 0;  // of the kernel, in row-major order
  // 3 * left + right for pixels within a line, those that begin it, that end it, and all of it.
  std::array<uint8_t, 4> left_out = {};
};

// A channel as a padded plane: lines along the last axis with zeros on both sides, so that every
// pixel of a line meets the same positions there. Positions of other axes that meet padding are
// left out instead. Pixels of the gradient of an input lie in phases, by their remainder modulo the
// stride: those of one phase meet the same positions.
class ConvLines {
 public:
  // Of the windows of `w`; or of the input that they are on, whose elements are the sums of the
  // windows that met them. None for lines that are short, and planes that are mostly padding or
  // larger than caches.
  // Sums of pixels may leave out little padding (`leaves_out`), for which planes need not be
  // copied.
  static std::optional<ConvLines> of_output(const Window& w, int64_t channels,
                                            bool leaves_out = false) {
    return of(w, false, channels, leaves_out);
  }
  static std::optional<ConvLines> of_input(const Window& w, int64_t channels) {
    return of(w, true, channels, true);
  }
  // Pixels at either end of a line that a tap may leave out.
  static constexpr int most_left_out = 2;
  static constexpr int64_t longest_left_out = 14;

  int64_t lines() const { return lines_; }
  int64_t length() const { return target_.back(); }
  int64_t phases() const { return phases_; }
  // Pixels phase, phase + phases(), ... of a line.
  int64_t pixels(int64_t phase) const { return (length() - phase + phases_ - 1) / phases_; }
  int64_t step() const { return step_; }

  // Neighbouring lines that meet the same positions, each `step` elements behind the one before.
  // The taps of every phase are those of the first line, in the order of a convolution's sum.
  struct Run {
    int64_t first = 0, lines = 1, step = 0;
    std::vector<std::vector<LineTap>> taps;
  };
  // All lines, in order.
  const std::vector<Run>& runs() const { return runs_; }
  const Run& run_of(int64_t line) const;

  // Lines and elements of a channel as it lies in memory, and padded.
  int64_t source_lines() const { return source_lines_; }
  int64_t source_length() const { return source_.back(); }
  bool is_padded() const { return pitch_ != source_length(); }
  // Taps leave out padding; lines are 8 to longest_left_out pixels long.
  bool leaves_out() const { return leaves_out_; }
  int64_t left() const { return left_; }
  int64_t pitch() const { return pitch_; }
  // From one padded channel to the next.
  int64_t plane_size() const;

 private:
  ConvLines(const Window& w, bool of_input);
  static std::optional<ConvLines> of(const Window& w, bool of_input, int64_t channels,
                                     bool leaves_out);
  void leave_out_padding();
  bool fits(int64_t channels) const;
  void find_runs();
  std::vector<LineTap> taps_of(int64_t line, int64_t phase) const;
  void find_columns(int64_t phase);
  // What element `at` of axis i meets at position k of the kernel, unless it is padding.
  std::optional<int64_t> met(size_t i, int64_t at, int64_t k) const;

  Window window_;
  bool of_input_, leaves_out_ = false;
  Dims source_, target_;
  int64_t lines_, source_lines_, phases_, step_;
  int64_t left_ = 0, pitch_ = 0;
  // Positions of the last axis that each phase meets, with what its first pixel meets there.
  std::vector<std::vector<LineTap>> columns_;
  std::vector<Run> runs_;
};

}  // namespace onnxrun
