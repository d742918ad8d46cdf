#include <webp/decode.h>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

Tensor decode_webp(ImageBytes bytes, MemoryBudget& budget) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    fail(ErrorKind::BadInput, "damaged .webp: the header makes no sense");
  }
  if (features.has_animation) fail(ErrorKind::Unsupported, "a .webp that is a film");
  int channels = features.has_alpha ? 4 : 3;
  // A picture of one colour takes no bytes for its pixels, whatever its size.
  Tensor t = allocate_image(features.height, features.width, channels, bytes, INT64_MAX, budget);
  auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(data, bytes.size(), t.data<uint8_t>(), static_cast<size_t>(t.size()),
              features.width * channels)) {
    fail(ErrorKind::BadInput, "damaged .webp");
  }
  return t;
}

}  // namespace onnxrun
