#include <array>
#include <cstdlib>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

constexpr size_t file_header_bytes = 14, shortest_info = 40;
constexpr uint32_t uncompressed = 0, bit_fields = 3;

[[noreturn]] void bad_bmp(std::string_view what) {
  fail(ErrorKind::BadInput, "damaged .bmp: {}", what);
}

template <typename T>
T field(ImageBytes bytes, size_t at) {
  if (at + sizeof(T) > bytes.size()) bad_bmp("the file ends early");
  return load_integer<T>(bytes.data() + at, std::endian::little);
}

struct Header {
  int64_t width, height;
  bool top_down;
  int bits;
  size_t pixels, palette, palette_entries;
};

Header read_header(ImageBytes b) {
  size_t info = field<uint32_t>(b, file_header_bytes);
  if (info < shortest_info) bad_bmp("its header is of a kind that is not read");
  auto signed_field = [&](size_t at) {
    return int64_t{static_cast<int32_t>(field<uint32_t>(b, at))};
  };
  Header h{};
  h.width = signed_field(18);
  h.height = std::abs(signed_field(22));
  h.top_down = signed_field(22) < 0;
  h.bits = field<uint16_t>(b, 28);
  h.pixels = field<uint32_t>(b, 10);
  h.palette = file_header_bytes + info;
  h.palette_entries = field<uint32_t>(b, 46) ? field<uint32_t>(b, 46) : 256;
  uint32_t compression = field<uint32_t>(b, 30);
  if (compression == bit_fields && h.bits == 32) {
    constexpr std::array<uint32_t, 3> usual = {0xff0000, 0xff00, 0xff};
    for (size_t i = 0; i < usual.size(); ++i) {
      size_t at = file_header_bytes + shortest_info + 4 * i;
      if (field<uint32_t>(b, at) != usual[i])
        bad_bmp("its bit fields are of a kind that is not read");
    }
  } else if (compression != uncompressed) {
    bad_bmp("compressed ones are not read");
  }
  if (h.bits != 8 && h.bits != 24 && h.bits != 32)
    bad_bmp("it has neither 8, 24 nor 32 bits a pixel");
  if (h.width <= 0 || h.height == 0) bad_bmp("it has no pixels");
  return h;
}

// Blue, green and red of one pixel.
const std::byte* color_of(ImageBytes b, const Header& h, const std::byte* pixel) {
  if (h.bits != 8) return pixel;
  auto index = static_cast<size_t>(*pixel);
  size_t at = h.palette + 4 * index;
  if (index >= h.palette_entries || at + 4 > b.size()) bad_bmp("a pixel is outside the palette");
  return b.data() + at;
}

}  // namespace

Tensor decode_bmp(ImageBytes b, MemoryBudget& budget) {
  Header h = read_header(b);
  int64_t row_bytes = (h.width * h.bits + 31) / 32 * 4;
  auto left = static_cast<int64_t>(b.size()) - static_cast<int64_t>(h.pixels);
  if (left < 0 || h.height > left / row_bytes) bad_bmp("the file ends early");
  Tensor t = allocate_image(h.height, h.width, 3, b, 3, budget);
  uint8_t* out = t.data<uint8_t>();
  for (int64_t y = 0; y < h.height; ++y) {
    int64_t row = h.top_down ? y : h.height - 1 - y;
    const std::byte* pixel = b.data() + h.pixels + row * row_bytes;
    for (int64_t x = 0; x < h.width; ++x, pixel += h.bits / 8) {
      const std::byte* bgr = color_of(b, h, pixel);
      for (int c = 2; c >= 0; --c) *out++ = static_cast<uint8_t>(bgr[c]);
    }
  }
  return t;
}

}  // namespace onnxrun
