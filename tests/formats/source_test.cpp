#include "formats/source.h"

#include <unistd.h>

#include "formats/print.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

std::string fixture_path(const std::string& name) { return data_path("formats/" + name); }

std::string summary(const NamedTensors& arrays) {
  std::string text;
  for (const NamedTensor& a : arrays) {
    text += (text.empty() ? "" : " ") + a.name + "=" + a.tensor.type_text();
  }
  return text;
}

// Stands for the reader that knows Protobuf: the name is the file's, the values its bytes.
ProtoFormat bytes_as_proto() {
  ProtoFormat proto;
  proto.read = [](const std::string& path) {
    std::string bytes = file_bytes(path);
    std::vector<uint8_t> values(bytes.begin(), bytes.end());
    return NamedTensor{std::filesystem::path(path).stem(),
                       Tensor::of<uint8_t>({static_cast<int64_t>(values.size())}, values)};
  };
  proto.to_bytes = [](const NamedTensor& a) { return a.name + json_values(a.tensor); };
  return proto;
}

struct SourceRow {
  std::string spec, result;

  friend void PrintTo(const SourceRow& row, std::ostream* out) { *out << row.spec; }
};

class SourceReads : public ::testing::TestWithParam<SourceRow> {};

TEST_P(SourceReads, EveryFormat) {
  EXPECT_EQ(summary(read_arrays(fixture_path(GetParam().spec))), GetParam().result);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SourceReads,
    ::testing::Values(
        SourceRow{"matrix.npy", "=float[2,3]"},
        SourceRow{
            "names.npz",
            "/StatefulPartitionedCall/x:0=float[2] layer.0/weight=float[1,1] gewicht_ä=int64[]"},
        SourceRow{"names.npz:/StatefulPartitionedCall/x:0",
                  "/StatefulPartitionedCall/x:0=float[2]"},
        SourceRow{"model.safetensors", "steps=int64[1] weight=float[2,3]"},
        SourceRow{"model.safetensors:steps", "steps=int64[1]"},
        SourceRow{"table.csv", "name=string[2] age=int64[2] height=double[2] ok=bool[2]"},
        SourceRow{"table.csv:height", "height=double[2]"},
        SourceRow{"table.csv:age,height", "=double[2,2]"},
        SourceRow{"table.csv:age..ok", "=double[2,3]"}, SourceRow{"numbers.csv", "=double[2,3]"},
        SourceRow{"images-idx3-ubyte", "=uint8[3,2,2]"},
        SourceRow{"images-idx3-ubyte.gz", "=uint8[3,2,2]"}, SourceRow{"values.idx", "=double[2]"},
        SourceRow{"rgb.png", "=uint8[2,2,3]"}, SourceRow{"flat.jpg", "=uint8[8,8,3]"},
        SourceRow{"rgb.bmp", "=uint8[2,2,3]"}, SourceRow{"picture.webp", "=uint8[32,32,3]"},
        SourceRow{"picture.tif", "=uint8[32,32,3]"}, SourceRow{"picture.jp2", "=uint8[32,32,3]"}));

class SourceRefuses : public ::testing::TestWithParam<SourceRow> {};

TEST_P(SourceRefuses, AndNamesTheFile) {
  std::string path = fixture_path(GetParam().spec.substr(0, GetParam().spec.find(':')));
  expect_fails(ErrorKind::BadInput, path + ": " + GetParam().result,
               [] { read_arrays(fixture_path(GetParam().spec)); });
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SourceRefuses,
    ::testing::Values(
        SourceRow{"missing.npy", "cannot be read: No such file or directory"},
        SourceRow{"missing.npz:key", "cannot be read: No such file or directory"},
        SourceRow{"matrix.npy:key", "this format has one array, so ':key' chooses nothing"},
        SourceRow{"names.npz:nothing", "there is no array 'nothing'; there are /Stateful"},
        SourceRow{"table.csv:nothing", "columns 'nothing' : there is no array 'nothing'"},
        SourceRow{"objects.npy", "arrays of Python objects are not read"},
        SourceRow{"dates.npy", "element type '<M8[s]' is not read"}));

TEST(Source, ReadsRawFilesAndColonsInNames) {
  TempDir dir;
  dir.write("x.raw", "12345678");
  EXPECT_EQ(summary(read_arrays((dir / "x.raw") + ":f32:1x2")), "=float[1,2]");
  std::filesystem::copy(fixture_path("matrix.npy"), dir / "a.npz:b.npy");
  EXPECT_EQ(summary(read_arrays(dir / "a.npz:b.npy")), "=float[2,3]");
  dir.write("data.txt", "1");
  expect_fails(ErrorKind::BadInput, "the name tells no format",
               [&] { read_arrays(dir / "data.txt"); });
  std::filesystem::copy(fixture_path("matrix.npy"), dir / "MATRIX.NPY");
  EXPECT_EQ(summary(read_arrays(dir / "MATRIX.NPY")), "=float[2,3]");
}

TEST(Source, ReadsInlineArrays) {
  EXPECT_EQ(summary(read_arrays("[[1,2]]", {.dtype = DType::Float16})), "=float16[1,2]");
  EXPECT_EQ(summary(read_arrays("f64:3")), "=double[]");
  expect_fails(ErrorKind::BadInput, "character 4", [] { read_arrays("[1,]"); });
}

TEST(Source, OneArrayIsOne) {
  EXPECT_EQ(read_array(fixture_path("table.csv:age,height")).tensor.type_text(), "double[2,2]");
  EXPECT_EQ(read_array(fixture_path("table.csv:age")).tensor.type_text(), "int64[2]");
  EXPECT_EQ(read_array(fixture_path("numbers.csv")).tensor.type_text(), "double[2,3]");
  expect_fails(ErrorKind::BadInput, "one array is needed, but there are 2: a, b",
               [] { read_array(fixture_path("descriptors.npz")); });
}

TEST(Source, ProtoComesFromTheCaller) {
  TempDir dir;
  dir.write("x.pb", "abc");
  EXPECT_EQ(summary(read_arrays(dir / "x.pb", {.proto = bytes_as_proto()})), "x=uint8[3]");
  expect_fails(ErrorKind::Unsupported, ".pb files are not read here",
               [&] { read_arrays(dir / "x.pb"); });
  for (int i = 0; i < 12; ++i) dir.write("input_" + std::to_string(i) + ".pb", std::string(i, 'x'));
  NamedTensors all = read_arrays(dir / "", {.proto = bytes_as_proto()});
  ASSERT_EQ(all.size(), 12u);
  EXPECT_EQ(all[11].name, "input_11");
  std::filesystem::create_directory(dir / "empty");
  expect_fails(ErrorKind::BadInput, "has no input_0.pb",
               [&] { read_arrays(dir / "empty", {.proto = bytes_as_proto()}); });
}

TEST(Source, HoldsToItsLimit) {
  expect_fails(ErrorKind::Limit, "but the limit leaves",
               [] { read_arrays(fixture_path("matrix.npy"), {.max_bytes = 23}); });
  EXPECT_EQ(read_arrays(fixture_path("matrix.npy"), {.max_bytes = 24}).size(), 1u);
}

// Reads `bytes` as standard input.
NamedTensors read_piped(const std::string& bytes) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  EXPECT_EQ(::write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::close(ends[1]);
  int saved = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  NamedTensors arrays = read_arrays("-");
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  ::close(ends[0]);
  return arrays;
}

TEST(Source, TellsFormatsOfStandardInput) {
  EXPECT_EQ(summary(read_piped(file_bytes(fixture_path("matrix.npy")))), "=float[2,3]");
  EXPECT_EQ(summary(read_piped(file_bytes(fixture_path("descriptors.npz")))),
            "a=uint8[2,2] b=uint8[2,2]");
  EXPECT_EQ(summary(read_piped(file_bytes(fixture_path("model.safetensors")))),
            "steps=int64[1] weight=float[2,3]");
  EXPECT_EQ(summary(read_piped(file_bytes(fixture_path("rgb.png")))), "=uint8[2,2,3]");
  EXPECT_EQ(summary(read_piped(file_bytes(fixture_path("rgb.bmp")))), "=uint8[2,2,3]");
  EXPECT_EQ(summary(read_piped(" [1,2]\n")), "=int64[2]");
  EXPECT_EQ(summary(read_piped("a,b\n1,2\n")), "a=int64[1] b=int64[1]");
  // Text that begins as a picture does, and ends before more could tell.
  for (const char* text : {"BM", "BMxx", "RIFF", "P5"}) {
    EXPECT_NO_THROW(read_piped(text)) << text;
  }
}

TEST(Source, WritesWhatItReads) {
  TempDir dir;
  NamedTensors two = {{"x:0", Tensor::of<float>({2}, {1, 2})},
                      {"y", Tensor::of<float>({2}, {3, 4})}};
  for (const char* name : {"a.npz", "a.safetensors", "a.csv"}) {
    write_arrays(dir / name, two);
    NamedTensors back = read_arrays(dir / name);
    ASSERT_EQ(back.size(), 2u) << name;
    EXPECT_EQ(json_values(back[1].tensor), "[3, 4]") << name;
    EXPECT_EQ(back[0].name, "x:0") << name;
  }
  write_arrays(dir / "a.npy", {two[0]});
  EXPECT_TRUE(identical(read_arrays(dir / "a.npy")[0].tensor, two[0].tensor));
  write_arrays(dir / "a.json", two);
  EXPECT_EQ(file_bytes(dir / "a.json"), to_json(two));
  write_arrays(dir / "a.pb", {two[1]}, bytes_as_proto());
  EXPECT_EQ(file_bytes(dir / "a.pb"), "y[3, 4]");
  write_arrays(dir / "set/", two, bytes_as_proto());
  EXPECT_EQ(file_bytes(dir / "set/output_1.pb"), "y[3, 4]");
}

TEST(Source, SaysWhatItCannotWrite) {
  TempDir dir;
  NamedTensors two = {{"x", Tensor::scalar(1.f)}, {"y", Tensor::scalar(1.f)}};
  expect_fails(ErrorKind::Usage, "holds one array, but there are 2",
               [&] { write_arrays(dir / "a.npy", two); });
  expect_fails(ErrorKind::Usage, "names no format that is written",
               [&] { write_arrays(dir / "a.png", two); });
  expect_fails(ErrorKind::CannotWrite, "No such file or directory",
               [&] { write_arrays(dir / "no/such/a.npz", two); });
  NamedTensors twice = {two[0], two[0]};
  dir.write("keep.npz", "old");
  expect_fails(ErrorKind::CannotWrite, "twice", [&] { write_arrays(dir / "keep.npz", twice); });
  EXPECT_EQ(file_bytes(dir / "keep.npz"), "old");
  EXPECT_EQ(dir.count(), 1u);
}

TEST(Source, ReadsTheDataOfRealTrainings) {
  NamedTensors arrays = read_arrays(data_path("corpus/k_mha/train/data.npz"));
  EXPECT_FALSE(arrays.empty());
}

}  // namespace
}  // namespace onnxrun::testing
