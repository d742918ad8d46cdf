// Pictures as tensors.
#pragma once

#include <span>

#include "tensor/byte_source.h"

namespace onnxrun {

// A .png, .jpg, .bmp, .webp, .tif, .jp2 or .pnm (P1 to P6) picture, told by its first bytes, as
// uint8 [height, width, channels] with the channels of the file: gray, gray and alpha, RGB, or RGB
// and alpha. Palettes are resolved, samples of 16 bits lose their low ones, colour profiles and
// orientations are not applied. Throws BadInput if it is none or damaged, Limit if it is too large.
Tensor decode_image(std::span<const std::byte> bytes, MemoryBudget& budget);

// A decoded picture with 1 channel (gray), 3 (RGB) or as many as it has. RGB is made of gray by
// repetition, gray of RGB by the weights of ITU-R BT.601; alpha is dropped.
Tensor with_channels(const Tensor& image, int64_t channels);

}  // namespace onnxrun
