// Pictures as inputs of models.
#pragma once

#include "images/image.h"

namespace onnxrun {

// A picture [height, width, channels] as an input of shape `wanted` (unknown lengths fit anything):
// the axes of [C,H,W] or [H,W,C] or [H,W], with axes of length 1 in front, a batch for instance.
// The values stay 0 to 255, converted to `dtype`. Channels change as in with_channels where the
// shape wants it. Pictures are not resized. Throws BadInput with both shapes.
Tensor image_as_input(const Tensor& image, const Shape& wanted, DType dtype);

}  // namespace onnxrun
