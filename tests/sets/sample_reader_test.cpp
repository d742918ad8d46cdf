#include "sets/sample_reader.h"

#include <gtest/gtest.h>

#include "formats/npy.h"
#include "sets/dataset.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

Tensor counting(DType dtype, const Dims& dims) {
  Tensor t(DType::Int64, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<int64_t>()[i] = i;
  return convert(t, dtype);
}

std::string npy_bytes(const Tensor& t) {
  NpyParts parts = to_npy(t);
  return parts.head + std::string(reinterpret_cast<const char*>(parts.body.raw()),
                                  static_cast<size_t>(parts.body.bytes()));
}

TEST(SampleReader, ReadsWhatTheArrayHas) {
  TempDir dir;
  for (DType dtype : {DType::Float32, DType::Float64, DType::UInt8, DType::Int16, DType::Bool}) {
    Tensor whole = counting(dtype, {7, 2, 3});
    auto samples = open_samples(dir.write("x.npy", npy_bytes(whole)));
    ASSERT_TRUE(samples);
    EXPECT_EQ(samples->dims(), whole.dims());
    EXPECT_EQ(samples->dtype(), dtype);
    Dataset in_memory({{"x", whole}}), in_file({{"x", {}, 0, false, samples}});
    std::vector<int64_t> chosen = {6, 0, 1, 2, 2, 5};
    Tensor a(dtype, {6, 2, 3}), b(dtype, {6, 2, 3});
    in_memory.gather(0, chosen, a);
    in_file.gather(0, chosen, b);
    EXPECT_TRUE(identical(a, b)) << to_string(dtype);
  }
}

TEST(SampleReader, TurnsBytesAround) {
  TempDir dir;
  std::string text("\x93NUMPY\x01\x00\x46\x00", 10);
  std::string header = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }";
  header.resize(0x45, ' ');
  std::string bytes = text + header + "\n" + std::string("\x01\x02\x00\x05", 4);
  auto samples = open_samples(dir.write("x.npy", bytes));
  Tensor out(DType::Int16, {2});
  samples->read(std::vector<int64_t>{1, 0}, out);
  EXPECT_TRUE(identical(out, Tensor::of<int16_t>({2}, {5, 0x102})));
  std::string idx("\x00\x00\x0b\x01\x00\x00\x00\x02\x01\x02\x00\x05", 12);
  samples = open_samples(dir.write("x-idx1-ubyte", idx));
  samples->read(std::vector<int64_t>{1, 0}, out);
  EXPECT_TRUE(identical(out, Tensor::of<int16_t>({2}, {5, 0x102})));
}

TEST(SampleReader, RefusesWhatItCannotRead) {
  TempDir dir;
  std::string bytes = npy_bytes(counting(DType::Float32, {4, 2}));
  EXPECT_FALSE(open_samples(dir.write("x.npz", bytes)));
  expect_fails(ErrorKind::BadInput, "needs 32 bytes, but 31 are there",
               [&] { open_samples(dir.write("short.npy", bytes.substr(0, bytes.size() - 1))); });
  expect_fails(ErrorKind::BadInput, "needs 32 bytes, but 33 are there",
               [&] { open_samples(dir.write("long.npy", bytes + "x")); });
  expect_fails(ErrorKind::BadInput, "single value", [&] {
    open_samples(dir.write("one.npy", npy_bytes(counting(DType::Float32, {}))));
  });
  // A file that shrinks while it is read.
  auto samples = open_samples(dir.write("y.npy", bytes));
  std::filesystem::resize_file(dir / "y.npy", bytes.size() - 8);
  Batches batches(Dataset({{"y", {}, 0, false, samples}}), {.batch_size = 2, .shuffle = false});
  batches.batch(0);
  EXPECT_THROW(batches.batch(1), Error);
  EXPECT_THROW(Dataset({{"y", {}, 1, false, samples}}), Error);
}

// Whatever order batches are asked for in, and in every epoch.
TEST(SampleReader, GivesTheSameBatches) {
  TempDir dir;
  Tensor whole = counting(DType::Float32, {11, 3});
  auto samples = open_samples(dir.write("x.npy", npy_bytes(whole)));
  BatchOptions options{.batch_size = 4, .seed = 3};
  Batches a(Dataset({{"x", whole}}), options);
  Batches b(Dataset({{"x", {}, 0, false, samples}}), options);
  for (int64_t epoch : {0, 1, 0}) {
    a.start_epoch(epoch);
    b.start_epoch(epoch);
    for (int64_t k : {0, 1, 2, 1, 0}) {
      EXPECT_TRUE(identical(a.batch(k)[0], b.batch(k)[0])) << epoch << " " << k;
    }
  }
  EXPECT_GE(b.waited(), 0);
}

TEST(SampleReader, VisitsAllParts) {
  TempDir dir;
  Tensor whole = counting(DType::Float32, {9, 300000});
  auto samples = open_samples(dir.write("x.npy", npy_bytes(whole)));
  int64_t next = 0, parts = 0;
  for_each_part(*samples, [&](const Tensor& part, int64_t first) {
    EXPECT_EQ(first, next);
    EXPECT_EQ(part.data<float>()[0], whole.data<float>()[first * 300000]);
    next += part.dim(0);
    ++parts;
  });
  EXPECT_EQ(next, 9);
  EXPECT_EQ(parts, 3);
}

}  // namespace

}  // namespace onnxrun::testing
