#include "formats/image.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace onnxrun {

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

}  // namespace

Tensor image_as_input(const Tensor& image, const Shape& wanted, DType dtype) {
  std::optional<Layout> layout = find_layout(wanted, image);
  if (!layout) {
    fail(ErrorKind::BadInput, "the picture is {} (height, width, channels), the input is {}",
         to_string(image.dims()), to_string(wanted));
  }
  Tensor pixels = with_channels(image, channels_for(*layout, wanted, image));
  int64_t area = image.dim(0) * image.dim(1), channels = pixels.dim(2);
  Dims dims(wanted.size(), 1);
  dims[dims.size() - static_cast<size_t>(layout->height)] = image.dim(0);
  dims[dims.size() - static_cast<size_t>(layout->width)] = image.dim(1);
  if (layout->channel > 0) dims[dims.size() - static_cast<size_t>(layout->channel)] = channels;
  Tensor out = pixels.view(dims);
  if (layout->channel == 3 && channels > 1) {
    out = Tensor(DType::UInt8, dims);
    for (int64_t i = 0; i < out.size(); ++i) {
      out.data<uint8_t>()[i] = pixels.data<uint8_t>()[i % area * channels + i / area];
    }
  }
  return dtype == DType::UInt8 ? out : convert(out, dtype);
}

}  // namespace onnxrun
