// Convolutions that tests of kernels compute.
#pragma once

#include "kernels/conv_shape.h"

namespace onnxrun {

struct ConvolutionCase {
  int64_t batch, groups, in_channels, out_channels;
  Dims input, kernel, strides, dilations, pads;  // of each spatial axis; pads on both of its ends

  ConvShape shape() const {
    Window w{input, {}, kernel, strides, dilations, pads, pads};
    for (size_t i = 0; i < w.rank(); ++i) {
      w.output.push_back((input[i] + 2 * pads[i] - w.extent(i)) / strides[i] + 1);
    }
    return {w, batch, groups, in_channels, out_channels};
  }
};

}  // namespace onnxrun
