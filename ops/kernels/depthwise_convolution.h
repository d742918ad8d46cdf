// Convolutions whose groups have one input channel, line by line.
#pragma once

#include <optional>

#include "kernels/conv_shape.h"
#include "kernels/limits.h"
#include "kernels/padded_plane.h"

namespace onnxrun {

// None for groups of several channels, steps along a line, and lines that are short for a vector.
std::optional<PaddedPlane> depthwise_plane(const ConvShape& s);

// y = x * w (+ bias, unless null) within limits, with the bits of FlatConvolver::forward(). Uses
// the threads of the caller's ThreadScope.
void convolve_depthwise(const ConvShape& s, const PaddedPlane& p, const float* x, const float* w,
                        const float* bias, float* y, const Limits<float>* limits = nullptr);
void convolve_depthwise(const ConvShape& s, const PaddedPlane& p, const double* x, const double* w,
                        const double* bias, double* y, const Limits<double>* limits = nullptr);

}  // namespace onnxrun
