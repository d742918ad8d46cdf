// Pictures as tensors.
#pragma once

#include <span>

#include "data/byte_source.h"

namespace onnxrun {

// How many channels a decoded picture has: those of the file (1 to 4), or converted to gray or RGB.
enum class Channels { AsStored = 0, Gray = 1, Rgb = 3 };

// A .png, .jpg, .bmp or binary .pnm picture (told by its first bytes) as uint8 [height, width,
// channels]. Throws BadInput if it is none or damaged, Limit if it is too large.
Tensor decode_image(std::span<const std::byte> bytes, Channels channels, MemoryBudget& budget);

// A picture [height, width, channels] as an input of shape `wanted` (unknown lengths fit anything):
// the axes of [C,H,W] or [H,W,C] or [H,W], with axes of length 1 in front, a batch for instance.
// The values stay 0 to 255, converted to `dtype`. RGB is made of gray by repetition, gray of RGB by
// weight, and an alpha channel is dropped where the shape wants it. Pictures are not resized.
// Throws BadInput with both shapes.
Tensor image_as_input(const Tensor& image, const Shape& wanted, DType dtype);

}  // namespace onnxrun
