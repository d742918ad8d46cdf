// One channel of a picture, padded, with lines that begin at whole vectors.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/window.h"

namespace onnxrun {

// What a position of the kernel meets in window o of a line is column
// margin + o * columns.stride + position * columns.dilation of the plane, whose lines are `pitch`
// apart. Windows of one axis are one line.
struct PaddedPlane {
  struct Axis {
    int64_t input = 1, output = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
    // Positions from the first window's begin to the last one's end.
    int64_t reach() const { return (output - 1) * stride + (kernel - 1) * dilation + 1; }
  };
  Axis lines, columns;
  int64_t height = 0, pitch = 0;
  // Elements before a line's padding, so that what is copied there begins at a whole vector.
  int64_t margin = 0;

  // None for more than two axes, nothing at all, and planes that are too large for a cache or
  // mostly padding.
  static std::optional<PaddedPlane> of(const Window& w);

  int64_t size() const { return height * pitch; }
  // No window reaches beyond the input.
  bool is_inside() const { return is_inside(lines) && is_inside(columns); }

 private:
  static bool is_inside(const Axis& a) { return a.pad == 0 && a.reach() <= a.input; }
};

}  // namespace onnxrun
