// ImageDecoder.
#include <array>
#include <string_view>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "images/image.h"

namespace onnxrun {

namespace {

// Formats of the standard that nothing here decodes.
struct Format {
  std::string_view name, magic;
  size_t at = 0;  // where the magic bytes are
};
constexpr std::array unread = {Format{"PAM", "P7"}};

class ImageDecoder final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("pixel_format", format_, "'RGB', 'BGR' or 'Grayscale'");
  }

  void infer(InferContext& c) const override {
    if (format_ != "RGB" && format_ != "BGR" && format_ != "Grayscale") {
      c.reject("pixel_format is '{}', expected 'RGB', 'BGR' or 'Grayscale'", format_);
    }
    const Shape* x = c.shape(0);
    if (x && x->size() != 1) c.reject("{}, expected a list of bytes", c.describe_input(0));
    c.set_output(0, DType::UInt8, Shape{Dim(), Dim(), channels()});
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor image = decoded(c, {x.raw(), static_cast<size_t>(x.size())});
    Tensor& y = c.allocate(0, DType::UInt8, image.dims());
    copy_elements(image, y);
    if (format_ != "BGR") return;
    uint8_t* out = y.data<uint8_t>();
    for (int64_t i = 0; i < y.size(); i += 3) std::swap(out[i], out[i + 2]);
  }

 private:
  int64_t channels() const { return format_ == "Grayscale" ? 1 : 3; }

  // The standard has an empty image for what cannot be decoded.
  Tensor decoded(const RunContext& c, std::span<const std::byte> bytes) const {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (const Format& f : unread) {
      if (text.size() > f.at && text.substr(f.at).starts_with(f.magic)) {
        fail(ErrorKind::Unsupported, "an image is {}, which cannot be decoded here", f.name);
      }
    }
    MemoryBudget budget(c.control().max_memory);
    try {
      return with_channels(decode_image(bytes, budget), channels());
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::BadInput) throw;
      return Tensor(DType::UInt8, {0, 0, channels()});
    }
  }

  std::string format_ = "RGB";
};

}  // namespace

void register_image_decoder(OpRegistry& r) {
  r.add<ImageDecoder>(
      {.name = "ImageDecoder",
       .doc =
           "the pixels of an encoded image: PNG, JPEG, JPEG 2000, BMP, WebP, TIFF, PBM, PGM or PPM",
       .since = {20},
       .inputs = {{"encoded_stream", "T1"}},
       .outputs = {{"image", "T2"}},
       .types = {{"T1", DType::UInt8}, {"T2", DType::UInt8}},
       .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
