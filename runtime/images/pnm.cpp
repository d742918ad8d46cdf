#include <algorithm>

#include "base/error.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

[[noreturn]] void bad_pnm(std::string_view what) {
  fail(ErrorKind::BadInput, "damaged .pnm: {}", what);
}

// The numbers of the header, between blanks and comments.
class PnmHeader {
 public:
  explicit PnmHeader(ImageBytes bytes) : bytes_(bytes) {}

  int64_t number() {
    while (is_blank(at()) || at() == '#') skip();
    int64_t value = 0;
    if (at() < '0' || at() > '9') bad_pnm("a number expected in its header");
    for (; position_ < bytes_.size() && at() >= '0' && at() <= '9'; ++position_)
      value = std::min<int64_t>(value * 10 + at() - '0', 1 << 30);
    return value;
  }
  // 0 or 1.
  bool digit() {
    while (is_blank(at()) || at() == '#') skip();
    if (at() != '0' && at() != '1') bad_pnm("a 0 or 1 expected");
    return static_cast<char>(bytes_[position_++]) == '1';
  }
  // The pixels follow a single blank.
  ImageBytes rest() const {
    if (!is_blank(at())) bad_pnm("a blank expected after its header");
    return bytes_.subspan(position_ + 1);
  }

 private:
  static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  char at() const {
    if (position_ >= bytes_.size()) bad_pnm("the file ends early");
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

namespace {

uint8_t scaled(int64_t sample, int64_t largest) {
  return static_cast<uint8_t>((std::min(sample, largest) * 255 + largest / 2) / largest);
}

// One bit a pixel, rows in whole bytes; ones are black.
void unpack_bits(ImageBytes packed, Tensor& t) {
  const int64_t row = (t.dim(1) + 7) / 8;
  if (static_cast<int64_t>(packed.size()) / row < t.dim(0)) bad_pnm("the file ends early");
  for (int64_t i = 0; i < t.size(); ++i) {
    int64_t y = i / t.dim(1), x = i % t.dim(1);
    auto byte = static_cast<int>(packed[static_cast<size_t>(y * row + x / 8)]);
    t.data<uint8_t>()[i] = (byte >> (7 - x % 8) & 1) != 0 ? 0 : 255;
  }
}

}  // namespace

Tensor decode_pnm(ImageBytes bytes, MemoryBudget& budget) {
  PnmHeader header(bytes);
  const auto kind = static_cast<char>(bytes[1]);
  const bool bits = kind == '1' || kind == '4', color = kind == '3' || kind == '6';
  int64_t width = header.number(), height = header.number(), largest = bits ? 1 : header.number();
  if (largest < 1 || largest > 255) bad_pnm("samples of more than 8 bits are not read");
  ImageBytes samples = header.rest();
  Tensor t = allocate_image(height, width, color ? 3 : 1, samples, kind == '4' ? 8 : 1, budget);
  uint8_t* out = t.data<uint8_t>();
  if (kind == '4') {
    unpack_bits(samples, t);
  } else if (kind >= '5') {
    std::transform(samples.begin(), samples.begin() + t.size(), out,
                   [&](std::byte b) { return scaled(static_cast<int64_t>(b), largest); });
  } else {
    // Bits need no blanks between them.
    for (int64_t i = 0; i < t.size(); ++i) {
      out[i] =
          bits ? static_cast<uint8_t>(header.digit() ? 0 : 255) : scaled(header.number(), largest);
    }
  }
  return t;
}

}  // namespace onnxrun
