// idx, raw, gzip, safetensors, pictures.
#include "formats/idx.h"
#include "formats/image.h"
#include "formats/inflate.h"
#include "formats/npy.h"
#include "formats/print.h"
#include "formats/raw.h"
#include "formats/safetensors.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

std::string fixture(const std::string& name) { return file_bytes(data_path("formats/" + name)); }

Tensor idx(const std::string& bytes) {
  RangeStream stream(DataFile::of_bytes(bytes));
  MemoryBudget budget(1 << 20);
  return read_idx(stream, budget);
}

TEST(Idx, ReadsBigEndianArrays) {
  Tensor images = idx(fixture("images-idx3-ubyte"));
  EXPECT_EQ(images.type_text(), "uint8[3,2,2]");
  EXPECT_EQ(images.data<uint8_t>()[11], 11);
  EXPECT_TRUE(identical(idx(fixture("values.idx")), Tensor::of<double>({2}, {0.5, -1.5})));
}

TEST(Idx, RefusesDamage) {
  std::string good = fixture("images-idx3-ubyte");
  for (size_t n = 0; n < good.size(); ++n) EXPECT_THROW(idx(good.substr(0, n)), Error) << n;
  expect_fails(ErrorKind::BadInput, "more bytes follow", [&] { idx(good + "x"); });
  expect_fails(ErrorKind::BadInput, "two zero bytes", [&] { idx("x" + good); });
  expect_fails(ErrorKind::BadInput, "type 0x07", [] { idx(std::string("\0\0\x07\x01", 4)); });
  std::string huge("\0\0\x0e\x02\xff\xff\xff\xff\0\0\0\1", 12);
  expect_fails(ErrorKind::BadInput, "needs 34359738360 bytes", [&] { idx(huge); });
}

TEST(Gzip, InflatesAndChecks) {
  std::string packed = fixture("images-idx3-ubyte.gz"), plain = fixture("images-idx3-ubyte");
  auto inflate = [](const std::string& bytes) {
    MemoryBudget budget(1 << 20);
    return inflate_stream(RangeStream(DataFile::of_bytes(bytes)), Compression::Gzip)
        ->read_to_end(budget);
  };
  EXPECT_EQ(inflate(packed), plain);
  EXPECT_EQ(inflate(packed + packed), plain + plain);
  for (size_t n = 0; n < packed.size(); ++n) EXPECT_THROW(inflate(packed.substr(0, n)), Error) << n;
  std::string wrong = packed;
  wrong[wrong.size() - 6] ^= 1;
  expect_fails(ErrorKind::BadInput, "incorrect data check", [&] { inflate(wrong); });
}

TEST(Raw, TakesTypeAndShapeFromTheUser) {
  auto raw = [](const std::string& bytes, const std::string& description) {
    RangeStream stream(DataFile::of_bytes(bytes));
    MemoryBudget budget(1 << 20);
    return read_raw(stream, description, budget);
  };
  EXPECT_EQ(raw(std::string(24, '\0'), "f32:1x3x2").dims(), (Dims{1, 3, 2}));
  EXPECT_EQ(raw(std::string(8, '\0'), "f64:").dims(), Dims{});
  EXPECT_EQ(raw("\x21\x43", "int4:4").size(), 4);
  for (const char* text : {"f32", "f32:x", "f32:1x", "f32:-1", "f32:1,2", "nope:1", "str:1", ""}) {
    expect_fails(ErrorKind::BadInput, "no type and shape", [&] { raw("1234", text); });
  }
  expect_fails(ErrorKind::BadInput, "needs 8 bytes", [&] { raw("1234567", "f32:2"); });
  expect_fails(ErrorKind::BadInput, "more bytes follow", [&] { raw("12345", "f32:1"); });
}

NamedTensors tensors(const std::string& bytes, const std::string& key = "") {
  MemoryBudget budget(1 << 20);
  return read_safetensors(DataFile::of_bytes(bytes), budget, key);
}

std::string safetensors(const std::string& header, const std::string& data = "") {
  std::string bytes;
  store_integer(bytes, static_cast<uint64_t>(header.size()));
  return bytes + header + data;
}

std::string written(const NamedTensors& arrays) {
  TempDir dir;
  AtomicFile file(dir / "x");
  write_safetensors(file, arrays);
  file.commit();
  return file_bytes(dir / "x");
}

TEST(Safetensors, ReadsTheReferenceImplementationsFile) {
  NamedTensors arrays = tensors(fixture("model.safetensors"));
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays[0].name, "steps");
  EXPECT_TRUE(identical(arrays[0].tensor, Tensor::of<int64_t>({1}, {7})));
  EXPECT_TRUE(identical(arrays[1].tensor, Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5})));
  EXPECT_EQ(tensors(fixture("model.safetensors"), "weight").size(), 1u);
  expect_fails(ErrorKind::BadInput, "there is no array 'x'; there are steps, weight",
               [] { tensors(fixture("model.safetensors"), "x"); });
}

TEST(Safetensors, RoundTripsEveryType) {
  for (int i = 1; i < dtype_count; ++i) {
    auto dtype = static_cast<DType>(i);
    if (dtype == DType::String || dtype == DType::Complex128) continue;
    Tensor t(dtype, {2, 2});
    std::fill_n(t.raw(), t.bytes(), std::byte{1});
    NamedTensors back = tensors(written({{"é/\"", t}}));
    EXPECT_EQ(back[0].name, "é/\"");
    EXPECT_TRUE(identical(back[0].tensor, unpack_small_integers(t))) << to_string(dtype);
  }
  NamedTensors mixed = {{"a", Tensor::of<uint8_t>({1}, {1})}, {"b", Tensor::scalar(2.5)}};
  std::string bytes = written(mixed);
  EXPECT_EQ(tensors(bytes)[0].name, "b");  // wide elements first: aligned
  EXPECT_TRUE(tensors(written({})).empty());
}

TEST(Safetensors, RefusesWhatItCannotHold) {
  Tensor t = Tensor::scalar(1.f);
  expect_fails(ErrorKind::CannotWrite, "'s': it is string[1]", [] {
    written({{"s", Tensor(DType::String, {1})}});
  });
  expect_fails(ErrorKind::CannotWrite, "'a' twice", [&] { written({{"a", t}, {"a", t}}); });
  expect_fails(ErrorKind::CannotWrite, "__metadata__", [&] { written({{"__metadata__", t}}); });
}

struct BadFile {
  std::string text, bytes;

  friend void PrintTo(const BadFile& row, std::ostream* out) { *out << row.text; }
};

class SafetensorsHostile : public ::testing::TestWithParam<BadFile> {};

TEST_P(SafetensorsHostile, IsRefused) {
  expect_fails(ErrorKind::BadInput, GetParam().text, [] { tensors(GetParam().bytes); });
}

std::string one(const std::string& shape, const std::string& offsets, const std::string& data,
                const std::string& type = "U8") {
  return safetensors(R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" +
                         offsets + "}}",
                     data);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SafetensorsHostile,
    ::testing::Values(
        BadFile{"the file has 7 bytes", "1234567"},
        BadFile{"claims 18446744073709551615 bytes", std::string(8, '\xff')},
        BadFile{"claims 3 bytes", std::string("\3\0\0\0\0\0\0\0{}", 10)},
        BadFile{"no JSON object", safetensors("[]")}, BadFile{"no JSON object", safetensors("{")},
        BadFile{"no JSON object", safetensors(std::string(100000, '['))},
        BadFile{"lacks a dtype", safetensors(R"({"a":1})")},
        BadFile{"lacks a dtype", safetensors(R"({"a":{"dtype":"U8","shape":[1]}})")},
        BadFile{"unknown type 'Q4'", one("[1]", "[0,1]", "1", "Q4")},
        BadFile{"length or offset -1", one("[-1]", "[0,1]", "1")},
        BadFile{"length or offset 1.5", one("[1.5]", "[0,1]", "1")},
        BadFile{"length or offset 18446744073709551615",
                one("[1]", "[0,18446744073709551615]", "1")},
        BadFile{"2 bytes, but its offsets are 0 to 1", one("[2]", "[0,1]", "1")},
        BadFile{"offsets are 1 to 0", one("[1]", "[1,0]", "1")},
        BadFile{"take 4 bytes, but the file has 3", one("[4]", "[0,4]", "123")},
        BadFile{"take 4 bytes, but the file has 5", one("[4]", "[0,4]", "12345")},
        BadFile{"begins at 1, but the one before it ends at 0", one("[3]", "[1,4]", "1234")},
        BadFile{"9223372036854775807 bytes", one("[4611686018427387904]", "[0,8]", "", "F64")},
        BadFile{"tensor 'b' begins at 1, but the one before it ends at 2",
                safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                            R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                            "123")}));

TEST(Safetensors, ShapeThatOverflowsIsALimit) {
  expect_fails(ErrorKind::Limit, "more elements than 64 bits",
               [] { tensors(one("[4611686018427387904,4]", "[0,1]", "1")); });
}

Tensor picture(const std::string& bytes) {
  MemoryBudget budget(1 << 20);
  return decode_image(std::as_bytes(std::span(bytes)), budget);
}

const std::string pixels = "[[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]]";

TEST(Image, Decodes) {
  EXPECT_EQ(json_values(picture(fixture("rgb.png"))), pixels);
  EXPECT_EQ(json_values(picture(fixture("rgb.bmp"))), pixels);
  EXPECT_EQ(json_values(picture(fixture("rgb.ppm"))), pixels);
  EXPECT_EQ(json_values(picture(fixture("palette.png"))), pixels);
  EXPECT_EQ(json_values(picture(fixture("palette.bmp"))), pixels);
  EXPECT_EQ(json_values(picture(fixture("gray.png"))), "[[[255], [0]], [[0], [10]]]");
  EXPECT_EQ(json_values(picture(fixture("bits.png"))), "[[[255], [0], [255]]]");
  EXPECT_EQ(json_values(picture("P5 # gray\n2 1 #\n15\n\x0f\x01")), "[[[255], [17]]]");
  EXPECT_EQ(picture(fixture("rgba.png")).dims(), (Dims{2, 2, 4}));
  EXPECT_EQ(json_values(with_channels(picture(fixture("rgba.png")), 3)), pixels);
  Tensor flat = picture(fixture("flat.jpg"));
  EXPECT_EQ(flat.dims(), (Dims{8, 8, 3}));
  EXPECT_EQ(flat.data<uint8_t>()[100], 100);
}

TEST(Image, DecodesJpegAsPillowDoes) {
  Tensor t = picture(fixture("gradient.jpg"));
  RangeStream stream(DataFile::of_bytes(fixture("gradient.npy")));
  MemoryBudget budget(1 << 20);
  Tensor expected = read_npy(stream, budget);
  ASSERT_EQ(t.dims(), expected.dims());
  for (int64_t i = 0; i < t.size(); ++i) {
    EXPECT_NEAR(t.data<uint8_t>()[i], expected.data<uint8_t>()[i], 1) << i;
  }
}

TEST(Image, DecodesWebpAsPillowDoes) {
  Tensor t = picture(fixture("picture.webp"));
  const uint8_t *first = t.data<uint8_t>(), *last = first + t.size() - 3;
  EXPECT_EQ(std::vector<int>(first, first + 3), (std::vector<int>{230, 84, 242}));
  EXPECT_EQ(std::vector<int>(last, last + 3), (std::vector<int>{10, 0, 0}));
}

// Files of the standard's node tests, which compare every pixel.
TEST(Image, DecodesTiffAndJpeg2000) {
  for (const char* file : {"picture.tif", "picture.jp2"}) {
    Tensor t = picture(fixture(file));
    EXPECT_EQ(t.dims(), (Dims{32, 32, 3})) << file;
    EXPECT_EQ(std::vector<int>(t.data<uint8_t>(), t.data<uint8_t>() + 3),
              (std::vector<int>{226, 81, 251}))
        << file;
  }
}

TEST(Image, DecodesNetpbm) {
  auto values = [](const std::string& bytes) {
    Tensor t = picture(bytes);
    return std::vector<int>(t.data<uint8_t>(), t.data<uint8_t>() + t.size());
  };
  EXPECT_EQ(values("P1\n# bits\n3 2\n101\n0 1 0\n"), (std::vector<int>{0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(values(std::string("P4 9 2\n\x80\x80\x01\x00", 11)),
            (std::vector<int>{0, 255, 255, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255,
                              255, 0, 255}));
  EXPECT_EQ(values("P2 2 1 15 15 1"), (std::vector<int>{255, 17}));
  EXPECT_EQ(values("P3 1 1 255 1 2 3"), (std::vector<int>{1, 2, 3}));
}

TEST(Image, RefusesDamageAndBombs) {
  auto bad = [](const std::string& text, const std::string& bytes) {
    expect_fails(ErrorKind::BadInput, text, [&] { picture(bytes); });
  };
  bad("no picture", "no picture at all");
  bad("damaged .png", fixture("bomb.png").substr(0, 60));
  bad("damaged .png: ", fixture("rgb.png").substr(0, 50));
  bad("damaged .jpg", fixture("gradient.jpg").substr(0, 500));
  bad("damaged .bmp: the file ends early", fixture("rgb.bmp").substr(0, 60));
  bad("damaged .webp", fixture("picture.webp").substr(0, 25));
  bad("damaged .webp", fixture("picture.webp").substr(0, 400));
  for (const char* file : {"picture.tif", "picture.jp2"}) {
    const std::string whole = fixture(file);
    for (size_t part = 10; part < whole.size(); part += whole.size() / 16) {
      bad("damaged", whole.substr(0, part));
    }
  }
  bad("the file ends early", std::string("P4 9 2\n\x80\x80\x01", 10));
  bad("a 0 or 1 expected", "P1 2 1 12 ");
  bad("the file ends early", "P2 2 1 15 15 ");
  bad("pixels does not fit", "P5 1000 1000 255 ");
  bad("no pixels", "P5 0 1 255 ");
  bad("a number expected", "P5 x");
  bad("the file ends early", "P6 # no end");
  std::string huge = fixture("gray.png");
  huge.replace(16, 8, std::string("\0\1\0\0\0\1\0\0", 8));
  bad("damaged .png: IHDR: CRC error", huge);
  EXPECT_EQ(picture(fixture("bomb.png")).dims(), (Dims{2, 2, 1}));  // the excess is not inflated
  for (const char* name :
       {"rgb.png", "palette.png", "rgb.bmp", "palette.bmp", "gradient.jpg", "rgb.ppm"}) {
    std::string bytes = fixture(name);
    for (size_t n = 0; n < bytes.size(); ++n) {
      std::string cut = bytes.substr(0, n), flipped = bytes;
      flipped[n] = static_cast<char>(flipped[n] ^ 0x24);
      for (const std::string& b : {cut, flipped}) {
        try {
          picture(b);
        } catch (const Error&) {
        }
      }
    }
  }
}

struct Fit {
  std::string file;
  Shape wanted;
  std::string type, json;

  friend void PrintTo(const Fit& row, std::ostream* out) { *out << row.file; }
};

class ImageFits : public ::testing::TestWithParam<Fit> {};

TEST_P(ImageFits, TheInput) {
  Tensor t = image_as_input(picture(fixture(GetParam().file)), GetParam().wanted, DType::Float32);
  EXPECT_EQ(t.type_text(), GetParam().type);
  if (!GetParam().json.empty()) {
    EXPECT_EQ(json_values(t), GetParam().json);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ImageFits,
    ::testing::Values(Fit{"rgb.png",
                          {1, 3, 2, 2},
                          "float[1,3,2,2]",
                          "[[[[255, 0], [0, 10]], [[0, 255], [0, 20]], [[0, 0], [255, 30]]]]"},
                      Fit{"rgb.png", {Dim(), 2, 2, 3}, "float[1,2,2,3]", "[" + pixels + "]"},
                      Fit{"rgb.png", {2, 2, 3}, "float[2,2,3]", pixels},
                      Fit{"rgb.png", {Dim(), Dim(), Dim(), Dim()}, "float[1,3,2,2]", ""},
                      Fit{"rgba.png", {3, 2, 2}, "float[3,2,2]", ""},
                      Fit{"gray.png",
                          {1, 3, Dim(), Dim()},
                          "float[1,3,2,2]",
                          "[[[[255, 0], [0, 10]], [[255, 0], [0, 10]], [[255, 0], [0, 10]]]]"},
                      Fit{"rgb.png", {1, 1, 2, 2}, "float[1,1,2,2]", "[[[[76, 150], [29, 18]]]]"},
                      Fit{"gray.png", {2, 2}, "float[2,2]", "[[255, 0], [0, 10]]"}));

TEST(Image, SaysWhatDoesNotFit) {
  expect_fails(ErrorKind::BadInput,
               "the picture is [2,2,3] (height, width, channels), the input is [1,3,224,224]", [] {
                 image_as_input(picture(fixture("rgb.png")), {1, 3, 224, 224}, DType::Float32);
               });
}

}  // namespace
}  // namespace onnxrun::testing
