// Convolutions of all ranks and their two gradients, in float and double.
#pragma once

#include "kernels/window.h"

namespace onnxrun {

// x: [batch, groups * in_channels, window.input], w: [groups * out_channels, in_channels,
// window.kernel], y: [batch, groups * out_channels, window.output].
struct ConvShape {
  Window window;
  int64_t batch = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group

  int64_t weight_rows() const { return in_channels * window.kernel_size(); }
  // Multiplications of one image's group.
  double group_work() const {
    return static_cast<double>(out_channels) * static_cast<double>(weight_rows()) *
           static_cast<double>(window.output_size());
  }
};

// y = x * w + bias; `bias` may be null. Uses the threads of the caller's ThreadScope; results do
// not depend on their number. So do the others.
void convolve(const ConvShape& s, const float* x, const float* w, const float* bias, float* y);
void convolve(const ConvShape& s, const double* x, const double* w, const double* bias, double* y);

// The gradient of x, which is also the transposed convolution of dy: `bias`
// (one an element of x's channels) is added unless null.
void convolve_input_grad(const ConvShape& s, const float* dy, const float* w, const float* bias,
                         float* dx);
void convolve_input_grad(const ConvShape& s, const double* dy, const double* w, const double* bias,
                         double* dx);

// The gradient of w.
void convolve_weight_grad(const ConvShape& s, const float* x, const float* dy, float* dw);
void convolve_weight_grad(const ConvShape& s, const double* x, const double* dy, double* dw);

}  // namespace onnxrun
