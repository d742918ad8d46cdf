// Convolutions whose groups have one channel, over images whose channels are the last axis.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/conv_shape.h"
#include "kernels/limits.h"
#include "kernels/padded_plane.h"

namespace onnxrun {

// Windows of one axis are one line.
struct DepthwiseLast {
  PaddedPlane::Axis lines, columns;
  int64_t batch = 0, channels = 0;
  // Sums begin at 0 and are added to the bias at their end; else they begin with it.
  bool is_apart = false;

  // None for groups of several channels and more than two axes.
  static std::optional<DepthwiseLast> of(const ConvShape& s);
};

// y = x * w (+ bias, unless null) within limits, where w is [positions][channels]; positions that
// meet padding are left out. Uses the threads of the caller's ThreadScope.
void convolve_depthwise(const DepthwiseLast& s, const float* x, const float* w, const float* bias,
                        float* y, const Limits<float>* limits = nullptr);

}  // namespace onnxrun
