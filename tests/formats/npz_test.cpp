#include "formats/npz.h"

#include "formats/element_text.h"
#include "formats/zip.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

NamedTensors read_bytes(const std::string& bytes, const std::string& key = "",
                        int64_t limit = 1 << 20) {
  MemoryBudget budget(limit);
  return read_npz(DataFile::of_bytes(bytes), budget, key);
}

std::string npz_fixture(const std::string& name) {
  return file_bytes(data_path("formats/" + name));
}

std::string npz_bytes(const NamedTensors& arrays) {
  TempDir dir;
  AtomicFile file(dir / "x.npz");
  write_npz(file, arrays);
  file.commit();
  return file_bytes(dir / "x.npz");
}

std::vector<std::string> names_of(const NamedTensors& arrays) {
  std::vector<std::string> names;
  for (const NamedTensor& a : arrays) names.push_back(a.name);
  return names;
}

// Overwrites bytes at the n-th place where `marker` stands.
std::string patched(std::string bytes, const std::string& marker, size_t offset,
                    const std::string& replacement, int nth = 0) {
  size_t at = bytes.find(marker);
  for (int i = 0; i < nth; ++i) at = bytes.find(marker, at + 1);
  return bytes.replace(at + offset, replacement.size(), replacement);
}

const std::string local = "PK\x03\x04", central = "PK\x01\x02", end = "PK\x05\x06";

TEST(Npz, ReadsEveryTypeOrderAndLayout) {
  for (const char* name : {"types.npz", "types_deflated.npz"}) {
    NamedTensors arrays = read_bytes(npz_fixture(name));
    EXPECT_EQ(arrays.size(), 56u);
    for (const NamedTensor& a : arrays) {
      EXPECT_EQ(a.tensor.dims(), (Dims{2, 3})) << a.name;
      for (int64_t i = 0; i < a.tensor.size(); ++i) {
        std::string expected = std::to_string(i);
        if (a.tensor.dtype() == DType::Bool) expected = i ? "true" : "false";
        if (is_complex(a.tensor.dtype())) expected += "+1j";
        EXPECT_EQ(element_text(a.tensor, i), expected) << a.name;
      }
    }
  }
}

TEST(Npz, NamesAreExact) {
  NamedTensors arrays = read_bytes(npz_fixture("names.npz"));
  std::vector<std::string> expected = {"/StatefulPartitionedCall/x:0", "layer.0/weight",
                                       "gewicht_ä"};
  EXPECT_EQ(names_of(arrays), expected);
  EXPECT_EQ(names_of(read_bytes(npz_bytes(arrays))), expected);
}

TEST(Npz, ReadsDataDescriptorsAndPassesOverOtherEntries) {
  NamedTensors arrays = read_bytes(npz_fixture("descriptors.npz"));
  EXPECT_EQ(names_of(arrays), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(arrays[1].tensor.data<uint8_t>()[3], 'b');
}

TEST(Npz, OneArrayByItsKey) {
  NamedTensors arrays = read_bytes(npz_fixture("names.npz"), "layer.0/weight");
  ASSERT_EQ(arrays.size(), 1u);
  EXPECT_EQ(arrays[0].tensor.data<float>()[0], 3);
  expect_fails(ErrorKind::BadInput, "there is no array 'z'; there are a, b",
               [] { read_bytes(npz_fixture("descriptors.npz"), "z"); });
}

TEST(Npz, RoundTrips) {
  NamedTensors arrays = {{"w", Tensor::of<float>({2, 2}, {1, 2, 3, 4})},
                         {"", Tensor::scalar<int64_t>(7)},
                         {"s", Tensor::of<std::string>({1}, {"text"})},
                         {"none", Tensor(DType::Float64, {0})}};
  std::string bytes = npz_bytes(arrays);
  NamedTensors back = read_bytes(bytes);
  ASSERT_EQ(names_of(back), names_of(arrays));
  for (size_t i = 0; i < arrays.size(); ++i) {
    EXPECT_TRUE(identical(back[i].tensor, arrays[i].tensor)) << arrays[i].name;
  }
  EXPECT_EQ(npz_bytes(arrays), bytes);
  EXPECT_TRUE(read_bytes(npz_bytes({})).empty());
}

TEST(Npz, RefusesToWriteANameTwice) {
  Tensor t = Tensor::scalar(1.f);
  expect_fails(ErrorKind::CannotWrite, "'x.npy' twice", [&] { npz_bytes({{"x", t}, {"x", t}}); });
  std::string zero("a\0b", 3);
  expect_fails(ErrorKind::CannotWrite, "cannot have an entry", [&] { npz_bytes({{zero, t}}); });
}

struct BadZip {
  ErrorKind kind;
  std::string text, bytes;

  friend void PrintTo(const BadZip& row, std::ostream* out) { *out << row.text; }
};

class NpzHostile : public ::testing::TestWithParam<BadZip> {};

TEST_P(NpzHostile, IsRefused) {
  expect_fails(GetParam().kind, GetParam().text, [] { read_bytes(GetParam().bytes); });
}

std::string two() {
  return npz_bytes({{"a", Tensor::of<float>({2}, {1, 2})}, {"b", Tensor::of<float>({2}, {3, 4})}});
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NpzHostile,
    ::testing::Values(
        BadZip{ErrorKind::BadInput, "no zip archive", ""},
        BadZip{ErrorKind::BadInput, "no zip archive", "PK and nothing else"},
        BadZip{ErrorKind::BadInput, "no zip archive", two().substr(0, two().size() - 1)},
        BadZip{ErrorKind::BadInput, "checksum is wrong", patched(two(), "\x93NUMPY", 128, "\x01")},
        BadZip{ErrorKind::BadInput, "encrypted", patched(two(), central, 8, "\x01")},
        BadZip{ErrorKind::BadInput, "compression method 12", patched(two(), central, 10, "\x0c")},
        BadZip{ErrorKind::BadInput, "directory is cut off", patched(two(), central, 0, "XX")},
        BadZip{ErrorKind::BadInput, "no entry where one should be", patched(two(), local, 0, "XX")},
        BadZip{ErrorKind::BadInput, "another name", patched(two(), local, 30, "z")},
        BadZip{ErrorKind::BadInput, "two entries are named",
               patched(patched(two(), "b.npy", 0, "a"), "b.npy", 0, "a")},
        BadZip{ErrorKind::BadInput, "outside the file",
               patched(two(), central, 46 + 5 + 4 + 8, std::string("\0\0\0\0\1\0\0\0", 8))},
        BadZip{ErrorKind::BadInput, "two sizes", patched(two(), central, 46 + 5 + 4, "\x01")},
        BadZip{ErrorKind::BadInput, "more than 63 bits",
               patched(two(), central, 46 + 5 + 4, std::string(8, '\xff'))},
        BadZip{ErrorKind::BadInput, "lacks its 64-bit sizes",
               patched(two(), central, 46 + 5, "\x02")},
        BadZip{ErrorKind::BadInput, "another name",
               patched(two(), central, 46 + 5 + 4 + 16, std::string(8, '\0'), 1)},
        BadZip{ErrorKind::BadInput, "2 entries and says 3",
               patched(two(), "PK\x06\x06", 32, "\x03")},
        BadZip{ErrorKind::BadInput, "not where it should be",
               patched(two(), "PK\x06\x06", 48, "\x01")},
        BadZip{ErrorKind::BadInput, "array 'a' : the compressed data is damaged",
               patched(npz_fixture("descriptors.npz"), local, 30 + 5, "\xff\xff\xff")}));

TEST(Npz, RefusesOverlappingEntries) {
  // Entry a holds all of an entry b, which the directory names too.
  std::string inner = npz_bytes({{"b", Tensor::scalar(1.f)}});
  inner.resize(inner.find(central));
  TempDir dir;
  AtomicFile file(dir / "x.npz");
  ZipWriter zip(file);
  zip.add("a.npy", inner, {});
  zip.add("b.npy", inner.substr(55), {});
  zip.finish();
  file.commit();
  std::string bytes = file_bytes(dir / "x.npz");
  EXPECT_EQ(read_bytes(bytes, "b").size(), 1u);
  std::string offset_of_inner("\x37\0\0\0\0\0\0\0", 8);
  std::string bomb = patched(bytes, central, 46 + 5 + 4 + 16, offset_of_inner, 1);
  expect_fails(ErrorKind::BadInput, "entries 'a.npy' and 'b.npy' overlap",
               [&] { read_bytes(bomb); });
}

TEST(Npz, RefusesMoreThanTheBudget) {
  std::string bytes = npz_bytes({{"a", Tensor::of<float>({1024}, std::vector<float>(1024))}});
  expect_fails(ErrorKind::Limit, "array 'a' : the array needs 4096 bytes, but the limit",
               [&] { read_bytes(bytes, "", 4095); });
}

TEST(Npz, HeaderMustAgreeWithTheEntryBeforeMemoryIsTaken) {
  // Deflate could hold 1032 times its bytes, but the entry says how many it does.
  std::string bytes = npz_bytes({{"a", Tensor::of<uint8_t>({9}, std::vector<uint8_t>(9))}});
  std::string huge = patched(bytes, "(9,), }", 0, "(99999,");
  expect_fails(ErrorKind::BadInput, "array 'a'", [&] { read_bytes(huge); });
}

TEST(Npz, EveryPrefixAndEveryFlippedByteIsSurvived) {
  for (const std::string& bytes : {npz_fixture("descriptors.npz"), two()}) {
    for (size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_THROW(read_bytes(bytes.substr(0, n)), Error) << n;
      std::string flipped = bytes;
      flipped[n] = static_cast<char>(flipped[n] ^ 0x5a);
      try {
        read_bytes(flipped);
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace onnxrun::testing
