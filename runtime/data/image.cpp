#include "data/image.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <optional>

#include "base/error.h"

namespace onnxrun {

// A picture may say one size and hold data for another; no block may be larger than its pixels need.
static thread_local size_t largest_block = 0;

static void* image_realloc(void* block, size_t bytes) {
  return bytes > largest_block ? nullptr : std::realloc(block, bytes);
}

}  // namespace onnxrun

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_MALLOC(bytes) onnxrun::image_realloc(nullptr, bytes)
#define STBI_REALLOC(block, bytes) onnxrun::image_realloc(block, bytes)
#define STBI_FREE(block) std::free(block)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace onnxrun {

Tensor decode_image(std::span<const std::byte> bytes, Channels channels, MemoryBudget& budget) {
  int width = 0, height = 0, stored = 0;
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  if (bytes.size() > INT_MAX) fail(ErrorKind::Limit, "a picture of {} bytes is too large", bytes.size());
  auto length = static_cast<int>(bytes.size());
  if (!stbi_info_from_memory(data, length, &width, &height, &stored)) {
    fail(ErrorKind::BadInput, "this is no picture that can be read: {}", stbi_failure_reason());
  }
  // 16-bit samples, padding to whole blocks and an alpha channel at most; small tables besides.
  int64_t area = (int64_t{width} + 64) * (int64_t{height} + 64);
  largest_block = static_cast<size_t>(area) * 8 + (size_t{1} << 18);
  budget.take(area * 8, "the picture");
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, length, &width, &height, &stored, static_cast<int>(channels)),
      stbi_image_free);
  if (!pixels) fail(ErrorKind::BadInput, "the picture is damaged: {}", stbi_failure_reason());
  int count = channels == Channels::AsStored ? stored : static_cast<int>(channels);
  Tensor t(DType::UInt8, {height, width, count});
  std::copy_n(pixels.get(), t.size(), t.data<uint8_t>());
  return t;
}

namespace {

// Where an input's shape has the axes of a picture; -1: it has no channel axis.
struct Layout {
  int64_t height, width, channel;
};

bool fits(const Dim& dim, int64_t length) { return !dim.is_known() || dim.value() == length; }

bool fits(const Layout& layout, const Shape& wanted, const Tensor& image) {
  auto rank = static_cast<int64_t>(wanted.size());
  int64_t used = layout.channel < 0 ? 2 : 3;
  if (rank < used || (used == 2 && rank > 2)) return false;
  for (int64_t i = 0; i < rank - used; ++i) {
    if (!fits(wanted[static_cast<size_t>(i)], 1)) return false;
  }
  auto axis = [&](int64_t from_end) { return wanted[static_cast<size_t>(rank - from_end)]; };
  bool channel_fits = used == 2;
  if (used == 3) {
    const Dim& c = axis(layout.channel);
    channel_fits = fits(c, 1) || fits(c, 3) || fits(c, image.dim(2));
  }
  return channel_fits && fits(axis(layout.height), image.dim(0)) &&
         fits(axis(layout.width), image.dim(1));
}

std::optional<Layout> find_layout(const Shape& wanted, const Tensor& image) {
  constexpr Layout layouts[] = {{2, 1, 3}, {3, 2, 1}, {2, 1, -1}};
  for (const Layout& layout : layouts) {
    if (fits(layout, wanted, image)) return layout;
  }
  return std::nullopt;
}

int64_t channels_for(const Layout& layout, const Shape& wanted, const Tensor& image) {
  if (layout.channel < 0) return 1;
  const Dim& dim = wanted[wanted.size() - static_cast<size_t>(layout.channel)];
  if (dim.is_known()) return dim.value();
  return image.dim(2) <= 2 ? 1 : 3;
}

// Channel `c` of a pixel with `from` channels, shown with `to`.
uint8_t sample(const uint8_t* pixel, int64_t from, int64_t to, int64_t c) {
  if (from == to) return pixel[c];
  bool gray = from <= 2;
  if (to == 3) return gray ? pixel[0] : pixel[c];
  // The weights of ITU-R BT.601 in 256ths.
  return gray ? pixel[0]
              : static_cast<uint8_t>((77 * pixel[0] + 150 * pixel[1] + 29 * pixel[2]) >> 8);
}

}  // namespace

Tensor image_as_input(const Tensor& image, const Shape& wanted, DType dtype) {
  std::optional<Layout> layout = find_layout(wanted, image);
  if (!layout) {
    fail(ErrorKind::BadInput, "the picture is {} (height, width, channels), the input is {}",
         to_string(image.dims()), to_string(wanted));
  }
  int64_t height = image.dim(0), width = image.dim(1), from = image.dim(2);
  int64_t to = channels_for(*layout, wanted, image);
  Dims dims(wanted.size(), 1);
  dims[dims.size() - static_cast<size_t>(layout->height)] = height;
  dims[dims.size() - static_cast<size_t>(layout->width)] = width;
  if (layout->channel > 0) dims[dims.size() - static_cast<size_t>(layout->channel)] = to;
  bool channels_first = layout->channel == 3;
  Tensor out(DType::UInt8, dims);
  for (int64_t p = 0; p < height * width; ++p) {
    for (int64_t c = 0; c < to; ++c) {
      int64_t at = channels_first ? c * height * width + p : p * to + c;
      out.data<uint8_t>()[at] = sample(image.data<uint8_t>() + p * from, from, to, c);
    }
  }
  return dtype == DType::UInt8 ? out : convert(out, dtype);
}

}  // namespace onnxrun
