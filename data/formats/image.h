// Pictures as tensors.
#pragma once

#include <span>

#include "tensor/byte_source.h"

namespace onnxrun {

// A .png, .jpg, .bmp or .pnm (P5, P6) picture, told by its first bytes, as uint8 [height, width,
// channels] with the channels of the file: gray, gray and alpha, RGB, or RGB and alpha. Palettes
// are resolved, samples of 16 bits lose their low ones, colour profiles and orientations are not
// applied. Throws BadInput if it is none or damaged, Limit if it is too large.
Tensor decode_image(std::span<const std::byte> bytes, MemoryBudget& budget);

// A decoded picture with 1 channel (gray), 3 (RGB) or as many as it has. RGB is made of gray by
// repetition, gray of RGB by the weights of ITU-R BT.601; alpha is dropped.
Tensor with_channels(const Tensor& image, int64_t channels);

// A picture [height, width, channels] as an input of shape `wanted` (unknown lengths fit anything):
// the axes of [C,H,W] or [H,W,C] or [H,W], with axes of length 1 in front, a batch for instance.
// The values stay 0 to 255, converted to `dtype`. Channels change as in with_channels where the
// shape wants it. Pictures are not resized. Throws BadInput with both shapes.
Tensor image_as_input(const Tensor& image, const Shape& wanted, DType dtype);

}  // namespace onnxrun
