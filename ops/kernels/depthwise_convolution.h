// Convolutions whose groups have one input channel, line by line.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/conv_shape.h"

namespace onnxrun {

// A channel lies padded in a plane whose lines are `pitch` apart, so that what a position of the
// kernel meets in neighbouring windows of a line lies side by side. Windows of one axis are one
// line of a picture.
struct DepthwisePlanes {
  struct Axis {
    int64_t input = 1, output = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  };
  Axis lines, columns;
  int64_t height = 0, pitch = 0;  // of the plane
  // Elements before a line's padding, so that what is copied there begins at a whole vector.
  int64_t margin = 0;

  // None for groups of several channels, more than two axes, steps along a line, and lines that are
  // short for a vector. `s` is one that FlatWindows take: that bounds the planes.
  static std::optional<DepthwisePlanes> of(const ConvShape& s);

  int64_t size() const { return height * pitch; }
};

// y = x * w (+ bias, unless null), with the bits of FlatConvolver::forward(). Uses the threads of
// the caller's ThreadScope.
void convolve_depthwise(const ConvShape& s, const DepthwisePlanes& p, const float* x,
                        const float* w, const float* bias, float* y);
void convolve_depthwise(const ConvShape& s, const DepthwisePlanes& p, const double* x,
                        const double* w, const double* bias, double* y);

}  // namespace onnxrun
