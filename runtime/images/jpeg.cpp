#include <turbojpeg.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

// A flat block of 8 x 8 pixels takes a bit at least, one for four blocks of subsampled colour.
static constexpr int64_t jpeg_ratio = 3 * 64 * 4 * 8;

Tensor decode_jpeg(ImageBytes bytes, MemoryBudget& budget) {
  std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
  if (!decoder) fail(ErrorKind::Limit, "no memory to decode a picture");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, sampling = 0, colors = 0;
  if (tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height, &sampling, &colors)) {
    fail(ErrorKind::BadInput, "damaged .jpg: {}", tjGetErrorStr2(decoder.get()));
  }
  bool gray = colors == TJCS_GRAY;
  Tensor t = allocate_image(height, width, gray ? 1 : 3, bytes, jpeg_ratio, budget);
  int status = tjDecompress2(decoder.get(), data, bytes.size(), t.data<uint8_t>(), width, 0, height,
                             gray ? TJPF_GRAY : TJPF_RGB, TJFLAG_LIMITSCANS);
  // Many cameras write files that deserve a warning; one that ends early has made-up pixels.
  std::string_view message = tjGetErrorStr2(decoder.get());
  bool cut_off = message.find("Premature end") != std::string_view::npos;
  if (status != 0 && (tjGetErrorCode(decoder.get()) == TJERR_FATAL || cut_off)) {
    fail(ErrorKind::BadInput, "damaged .jpg: {}", message);
  }
  return t;
}

}  // namespace onnxrun
