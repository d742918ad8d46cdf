#include <algorithm>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

[[noreturn]] void bad(std::string_view what) {
  fail(ErrorKind::BadInput, "damaged .pnm: {}", what);
}

// The numbers of the header, between blanks and comments.
class Header {
 public:
  explicit Header(ImageBytes bytes) : bytes_(bytes) {}

  int64_t number() {
    while (is_blank(at()) || at() == '#') skip();
    int64_t value = 0;
    if (at() < '0' || at() > '9') bad("a number expected in its header");
    for (; at() >= '0' && at() <= '9'; ++position_)
      value = std::min<int64_t>(value * 10 + at() - '0', 1 << 30);
    return value;
  }
  // The pixels follow a single blank.
  ImageBytes rest() const {
    if (!is_blank(at())) bad("a blank expected after its header");
    return bytes_.subspan(position_ + 1);
  }

 private:
  static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  char at() const {
    if (position_ >= bytes_.size()) bad("the file ends early");
    return static_cast<char>(bytes_[position_]);
  }
  void skip() {
    if (at() == '#') {
      while (at() != '\n') ++position_;
    }
    ++position_;
  }

  ImageBytes bytes_;
  size_t position_ = 2;  // behind the magic
};

}  // namespace

Tensor decode_pnm(ImageBytes bytes, MemoryBudget& budget) {
  Header header(bytes);
  int64_t width = header.number(), height = header.number(), largest = header.number();
  if (largest < 1 || largest > 255) bad("samples of more than 8 bits are not read");
  ImageBytes samples = header.rest();
  Tensor t = allocate_image(height, width, bytes[1] == std::byte{'6'} ? 3 : 1, samples, 1, budget);
  std::transform(samples.begin(), samples.begin() + t.size(), t.data<uint8_t>(), [&](std::byte b) {
    auto sample = std::min(static_cast<int64_t>(b), largest);
    return static_cast<uint8_t>((sample * 255 + largest / 2) / largest);
  });
  return t;
}

}  // namespace onnxrun
