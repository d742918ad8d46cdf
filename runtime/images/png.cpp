#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

constexpr png_uint_32 longest_side = 1 << 24;
constexpr int64_t deflate_ratio = 1032;

// libpng leaves by longjmp, which must not pass over C++ objects with destructors: the functions
// that call setjmp have none.
class PngReader {
 public:
  explicit PngReader(ImageBytes bytes)
      : left_(bytes),
        png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning)),
        info_(png_ ? png_create_info_struct(png_) : nullptr) {
    if (!info_) fail(ErrorKind::Limit, "no memory to decode a picture");
    png_set_user_limits(png_, longest_side, longest_side);
    png_set_read_fn(png_, this, on_read);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_info(png_, info_);
    stored_bits_ = png_get_bit_depth(png_, info_) * png_get_channels(png_, info_);
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  bool read_pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t channels() const { return png_get_channels(png_, info_); }
  // Of one pixel in the file.
  int64_t stored_bits() const { return stored_bits_; }
  const char* message() const { return message_; }

 private:
  static void on_read(png_structp png, png_bytep to, size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->left_.size()) png_error(png, "the file ends early");
    std::memcpy(to, self->left_.data(), count);
    self->left_ = self->left_.subspan(count);
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self->message_, text, sizeof self->message_ - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  ImageBytes left_;
  char message_[120] = {};
  int64_t stored_bits_ = 0;
  png_structp png_;
  png_infop info_;
};

}  // namespace

Tensor decode_png(ImageBytes bytes, MemoryBudget& budget) {
  PngReader reader(bytes);
  if (!reader.read_header()) fail(ErrorKind::BadInput, "damaged .png: {}", reader.message());
  int64_t expansion = (8 * reader.channels() - 1) / reader.stored_bits() + 1;
  Tensor t = allocate_image(reader.height(), reader.width(), reader.channels(), bytes,
                            deflate_ratio * expansion, budget);
  int64_t row_bytes = t.dim(1) * t.dim(2);
  budget.take(t.dim(0) * static_cast<int64_t>(sizeof(png_bytep)), "the picture");
  std::vector<png_bytep> rows(static_cast<size_t>(t.dim(0)));
  for (size_t y = 0; y < rows.size(); ++y) {
    rows[y] = t.data<uint8_t>() + static_cast<int64_t>(y) * row_bytes;
  }
  if (!reader.read_pixels(rows.data())) {
    fail(ErrorKind::BadInput, "damaged .png: {}", reader.message());
  }
  return t;
}

}  // namespace onnxrun
