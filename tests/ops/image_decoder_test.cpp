// ImageDecoder. Real files are the standard's node tests (tests/conformance); the decoders' own
// tests are those of formats/image.h.
#include <string_view>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

OpRun decode(std::string_view bytes, const char* format = "RGB") {
  Tensor x(DType::UInt8, {static_cast<int64_t>(bytes.size())});
  std::copy(bytes.begin(), bytes.end(), x.data<uint8_t>());
  return {"ImageDecoder", {x}, {{"pixel_format", std::string(format)}}};
}

constexpr std::string_view pixels = "P6 2 1 255\n\x01\x02\x03\x64\x65\x66";

TEST(ImageDecoder, PixelFormats) {
  Tensor rgb = run_op(decode(pixels))[0];
  EXPECT_EQ(rgb.dims(), (Dims{1, 2, 3}));
  EXPECT_EQ(values_of(rgb), (std::vector<double>{1, 2, 3, 100, 101, 102}));
  EXPECT_EQ(values_of(run_op(decode(pixels, "BGR"))[0]),
            (std::vector<double>{3, 2, 1, 102, 101, 100}));
  Tensor gray = run_op(decode(pixels, "Grayscale"))[0];
  EXPECT_EQ(gray.dims(), (Dims{1, 2, 1}));
  EXPECT_EQ(values_of(gray), (std::vector<double>{2, 101}));
  EXPECT_EQ(values_of(run_op(decode("P5 1 1 255\n\x07"))[0]), (std::vector<double>{7, 7, 7}));
}

// The standard wants an empty image.
TEST(ImageDecoder, WhatIsNoImage) {
  for (std::string_view bytes :
       {std::string_view(), std::string_view("no image"), pixels.substr(0, pixels.size() - 1),
        std::string_view("P6 9999999 9999999 255\n"), std::string_view("\xFF\xD8\xFF\xE0", 4),
        std::string_view("RIFF....WEBPVP8 "), std::string_view("II*\0....", 8),
        std::string_view("\x89PNG\r\n\x1a\n", 8)}) {
    EXPECT_EQ(run_op(decode(bytes))[0].dims(), (Dims{0, 0, 3})) << bytes;
  }
  EXPECT_EQ(run_op(decode("BM", "Grayscale"))[0].dims(), (Dims{0, 0, 1}));
}

TEST(ImageDecoder, Rejects) {
  expect_error(decode("P7 "), "an image is PAM");
  expect_error(decode(pixels, "rgb"), "pixel_format is 'rgb'");
  expect_error({"ImageDecoder", {Tensor(DType::UInt8, {2, 2})}}, "expected a list of bytes");
  expect_error({"ImageDecoder", {Tensor::of<float>({1}, {1})}}, "float");
}

}  // namespace

}  // namespace onnxrun::testing
