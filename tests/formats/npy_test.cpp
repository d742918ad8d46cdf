#include "formats/npy.h"

#include "formats/element_text.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

Tensor read_tensor(const std::string& bytes, int64_t limit = 1 << 20) {
  RangeStream stream(DataFile::of_bytes(bytes));
  MemoryBudget budget(limit);
  return read_npy(stream, budget);
}

Tensor read_fixture(const std::string& name) {
  return read_tensor(file_bytes(data_path("formats/" + name)));
}

std::string npy_bytes(const Tensor& t) {
  NpyParts parts = to_npy(t);
  return parts.head + std::string(reinterpret_cast<const char*>(parts.body.raw()),
                                  static_cast<size_t>(parts.body.bytes()));
}

std::string with_header(const std::string& header, const std::string& body = "") {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  store_integer(bytes, static_cast<uint16_t>(header.size()));
  return bytes + header + body;
}

std::string with_shape(const std::string& shape, const std::string& body = "") {
  return with_header("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", body);
}

TEST(Npy, ReadsWhatNumpyWrites) {
  std::vector<float> matrix = {0, 1, 2, 3, 4, 5};
  EXPECT_TRUE(identical(read_fixture("matrix.npy"), Tensor::of<float>({2, 3}, matrix)));
  EXPECT_TRUE(identical(read_fixture("scalar.npy"), Tensor::scalar(2.5)));
  EXPECT_TRUE(identical(read_fixture("empty.npy"), Tensor(DType::Int64, {0, 3})));
  EXPECT_TRUE(identical(read_fixture("version2.npy"), Tensor::of<int32_t>({4}, {0, 1, 2, 3})));
  EXPECT_TRUE(identical(read_fixture("version3.npy"), Tensor::of<int32_t>({4}, {0, 1, 2, 3})));
  Tensor strings = Tensor::of<std::string>({2, 2}, {"", "a", "äöü", "日本🙂"});
  EXPECT_TRUE(identical(read_fixture("unicode.npy"), strings));
  EXPECT_TRUE(
      identical(read_fixture("bytes.npy"), Tensor::of<std::string>({3}, {"ab", "", "abc"})));
}

TEST(Npy, FortranOrderOfThreeAxes) {
  Tensor t = read_fixture("cube_fortran.npy");
  EXPECT_EQ(t.dims(), (Dims{2, 3, 4}));
  for (int16_t i = 0; i < 24; ++i) EXPECT_EQ(t.data<int16_t>()[i], i);
}

TEST(Npy, WritesNumpysOwnBytes) {
  for (const char* name : {"matrix.npy", "scalar.npy", "empty.npy", "unicode.npy", "bytes.npy"}) {
    std::string bytes = file_bytes(data_path(std::string("formats/") + name));
    if (name == std::string("bytes.npy")) continue;  // valid UTF-8 becomes 'U'
    EXPECT_EQ(npy_bytes(read_tensor(bytes)), bytes) << name;
  }
}

TEST(Npy, RoundTripsEveryType) {
  for (int i = 1; i < dtype_count; ++i) {
    auto dtype = static_cast<DType>(i);
    if (mx_float_format(dtype)) continue;
    Tensor t(dtype, {3, 2});
    for (int64_t k = 0; k < t.size(); ++k) set_element(t, k, k % 2 ? "1" : "0");
    Tensor expected = unpack_small_integers(t);
    EXPECT_TRUE(identical(read_tensor(npy_bytes(t)), expected)) << to_string(dtype);
  }
}

TEST(Npy, StringsThatAreNoUtf8AreWrittenAsBytes) {
  Tensor t = Tensor::of<std::string>({2}, {"\xff\x01", "abc"});
  EXPECT_NE(npy_bytes(t).find("'|S3'"), std::string::npos);
  EXPECT_TRUE(identical(read_tensor(npy_bytes(t)), t));
}

TEST(Npy, HoldsNoFloat4) {
  expect_fails(ErrorKind::CannotWrite, "numpy has no such type",
               [] { to_npy(Tensor(DType::Float4E2M1, {2})); });
}

TEST(Npy, ReadsPickyHeaders) {
  std::string body(8, '\0');
  EXPECT_EQ(read_tensor(with_shape("(2L,)", body)).dims(), (Dims{2}));
  std::string header = "{\"shape\":( 2 , 1),\"fortran_order\":True,\"descr\":\"=f4\"}";
  EXPECT_EQ(read_tensor(with_header(header, body)).dims(), (Dims{2, 1}));
  std::string bools = with_header("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}");
  Tensor t = read_tensor(bools + std::string("\x07\x00", 2));
  EXPECT_TRUE(identical(t, Tensor::of<bool>({2}, {true, false})));
}

struct BadFile {
  ErrorKind kind;
  std::string text, bytes;

  friend void PrintTo(const BadFile& row, std::ostream* out) { *out << row.text; }
};

class NpyHostile : public ::testing::TestWithParam<BadFile> {};

TEST_P(NpyHostile, IsRefused) {
  expect_fails(GetParam().kind, GetParam().text, [] { read_tensor(GetParam().bytes); });
}

std::string with_descr(const std::string& descr, const std::string& shape = "(1,)") {
  return with_header("{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + "}");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NpyHostile,
    ::testing::Values(
        BadFile{ErrorKind::BadInput, "more bytes, but 8 are needed", ""},
        BadFile{ErrorKind::BadInput, "does not begin with", "NUMPY.....NUMPY..."},
        BadFile{ErrorKind::BadInput, "version 9", std::string("\x93NUMPY\x09\x00\x00\x00", 10)},
        BadFile{ErrorKind::BadInput, "more bytes, but 118 are",
                std::string("\x93NUMPY\x01\x00v\x00", 10)},
        BadFile{ErrorKind::BadInput, "claims 4294967295 bytes",
                std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)},
        BadFile{ErrorKind::BadInput, "negative length -1", with_shape("(-1,)")},
        BadFile{ErrorKind::BadInput, "needs 4611686018427387904 bytes",
                with_shape("(1048576, 1099511627776)")},
        BadFile{ErrorKind::Limit, "more elements than 64 bits",
                with_shape("(9223372036854775807, 3)")},
        BadFile{ErrorKind::BadInput, "a length expected", with_shape("(9223372036854775808,)")},
        BadFile{ErrorKind::BadInput, "'(' expected", with_shape("[2]")},
        BadFile{ErrorKind::BadInput, "',' or ')' expected", with_shape("(2 3)")},
        BadFile{ErrorKind::BadInput, "needs 8 bytes, but at most 7", with_shape("(2,)", "1234567")},
        BadFile{ErrorKind::BadInput, "more bytes follow", with_shape("(2,)", "123456789")},
        BadFile{ErrorKind::BadInput, "unexpected key 'x'", with_header("{'x': 1}")},
        BadFile{ErrorKind::BadInput, "unexpected key 'shape'",
                with_header("{'shape': (), 'shape': ()}")},
        BadFile{ErrorKind::BadInput, "'shape' expected", with_header("{'descr': '<f4'}")},
        BadFile{ErrorKind::BadInput, "a string does not end", with_header("{'descr")},
        BadFile{ErrorKind::BadInput, "text after the dictionary",
                with_header("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x")},
        BadFile{ErrorKind::BadInput, "Python objects", with_descr("'|O'")},
        BadFile{ErrorKind::BadInput, "records", with_descr("[('a', '<f4')]")},
        BadFile{ErrorKind::BadInput, "element type '<M8[s]'", with_descr("'<M8[s]'")},
        BadFile{ErrorKind::BadInput, "element type '<f16'", with_descr("'<f16'")},
        BadFile{ErrorKind::BadInput, "element type 'U-3'", with_descr("'U-3'")},
        BadFile{ErrorKind::BadInput, "longer than the data", with_descr("'<U9'")},
        BadFile{ErrorKind::BadInput, "longer than the data",
                with_descr("'<U2147483647'", "(1099511627776,)")},
        BadFile{ErrorKind::Limit, "array of strings needs",
                with_descr("'<U0'", "(1099511627776,)")},
        BadFile{ErrorKind::Limit, "strings are too many",
                with_descr("'S0'", "(4611686018427387904,)")},
        BadFile{ErrorKind::BadInput, "no character 0xd800",
                with_descr("'<U1'") + std::string("\x00\xd8\x00\x00", 4)},
        BadFile{ErrorKind::BadInput, "malformed", with_header(std::string(5, '\0'))},
        BadFile{ErrorKind::BadInput, "more than 64 axes", with_shape("(" + [] {
                  std::string ones;
                  for (int i = 0; i < 65; ++i) ones += "1,";
                  return ones;
                }() + ")")}));

TEST(Npy, RefusesMoreThanTheBudget) {
  expect_fails(ErrorKind::Limit, "needs 8 bytes, but the limit leaves 7",
               [] { read_tensor(with_shape("(2,)", "12345678"), 7); });
}

TEST(Npy, EveryPrefixIsAnError) {
  for (const char* name : {"matrix.npy", "unicode.npy", "cube_fortran.npy"}) {
    std::string bytes = file_bytes(data_path(std::string("formats/") + name));
    for (size_t n = 0; n < bytes.size(); ++n)
      EXPECT_THROW(read_tensor(bytes.substr(0, n)), Error) << n;
  }
}

}  // namespace
}  // namespace onnxrun::testing
