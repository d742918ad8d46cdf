// The decoders behind decode_image; each gives uint8 [height, width, channels] of a file that
// begins with its magic bytes, and throws BadInput or Limit.
#pragma once

#include <span>

#include "tensor/byte_source.h"

namespace onnxrun {

using ImageBytes = std::span<const std::byte>;

Tensor decode_png(ImageBytes bytes, MemoryBudget& budget);
Tensor decode_jpeg(ImageBytes bytes, MemoryBudget& budget);
// Uncompressed, with 8 (palette), 24 or 32 bits a pixel.
Tensor decode_bmp(ImageBytes bytes, MemoryBudget& budget);
// Lossy and lossless, without animation.
Tensor decode_webp(ImageBytes bytes, MemoryBudget& budget);
// TIFF as libtiff makes it 8 bits of gray or RGB, without alpha; Unsupported where that is not
// there.
Tensor decode_tiff(ImageBytes bytes, MemoryBudget& budget);
// JPEG 2000, as a file (.jp2) or a bare code stream, by OpenJPEG; gray or RGB, with alpha or
// without.
Tensor decode_jpeg2000(ImageBytes bytes, MemoryBudget& budget);
// Bitmaps, graymaps and pixmaps, in text and binary (P1 to P6), of up to 255.
Tensor decode_pnm(ImageBytes bytes, MemoryBudget& budget);

// The tensor for a picture of this size. `raw_bytes` is the least that must come out of the file's
// bytes: a file too small to hold that much even at `ratio` to one is refused before memory is
// taken.
Tensor allocate_image(int64_t height, int64_t width, int64_t channels, ImageBytes file,
                      int64_t ratio, MemoryBudget& budget);

}  // namespace onnxrun
