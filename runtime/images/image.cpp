#include "images/image.h"

#include <string_view>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

Tensor allocate_image(int64_t height, int64_t width, int64_t channels, ImageBytes file,
                      int64_t ratio, MemoryBudget& budget) {
  Dims dims = {height, width, channels};
  int64_t size = element_count(dims), fits = 0;
  if (size == 0) fail(ErrorKind::BadInput, "the picture has no pixels");
  bool bounded = !__builtin_mul_overflow(static_cast<int64_t>(file.size()), ratio, &fits);
  if (bounded && size > fits) {
    fail(ErrorKind::BadInput, "a picture of {} x {} pixels does not fit {} bytes", width, height,
         file.size());
  }
  budget.take(size, "the picture");
  return Tensor(DType::UInt8, dims);
}

Tensor decode_image(std::span<const std::byte> bytes, MemoryBudget& budget) {
  struct Decoder {
    std::string_view magic;
    Tensor (*decode)(ImageBytes, MemoryBudget&);
  };
  constexpr Decoder decoders[] = {{"\x89PNG\r\n\x1a\n", decode_png},
                                  {"\xff\xd8\xff", decode_jpeg},
                                  {"BM", decode_bmp},
                                  {{"II*\0", 4}, decode_tiff},
                                  {{"MM\0*", 4}, decode_tiff},
                                  {{"\0\0\0\x0cjP  ", 8}, decode_jpeg2000},
                                  {"\xff\x4f\xff\x51", decode_jpeg2000},
                                  {"P1", decode_pnm},
                                  {"P2", decode_pnm},
                                  {"P3", decode_pnm},
                                  {"P4", decode_pnm},
                                  {"P5", decode_pnm},
                                  {"P6", decode_pnm}};
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Decoder& d : decoders) {
    if (text.starts_with(d.magic)) return d.decode(bytes, budget);
  }
  if (text.starts_with("RIFF") && text.size() > 12 && text.substr(8, 4) == "WEBP") {
    return decode_webp(bytes, budget);
  }
  fail(ErrorKind::BadInput,
       "this is no picture that can be read; .png, .jpg, .bmp, .webp, .tif, .jp2 and .pnm are");
}

namespace {

// Channel `c` of a pixel with `from` channels, shown with `to`.
uint8_t sample(const uint8_t* pixel, int64_t from, int64_t to, int64_t c) {
  if (from == to) return pixel[c];
  bool gray = from <= 2;
  if (to == 3) return gray ? pixel[0] : pixel[c];
  // Red, green and blue in 65536ths, as Pillow and libjpeg round them.
  return gray ? pixel[0]
              : static_cast<uint8_t>(
                    (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 0x8000) >> 16);
}

}  // namespace

Tensor with_channels(const Tensor& image, int64_t channels) {
  int64_t from = image.dim(2);
  if (from == channels) return image;
  if (channels != 1 && channels != 3) {
    fail(ErrorKind::BadInput, "a picture of {} channels cannot be given {}", from, channels);
  }
  Tensor out(DType::UInt8, {image.dim(0), image.dim(1), channels});
  for (int64_t i = 0; i < out.size(); ++i) {
    out.data<uint8_t>()[i] =
        sample(image.data<uint8_t>() + i / channels * from, from, channels, i % channels);
  }
  return out;
}

}  // namespace onnxrun
