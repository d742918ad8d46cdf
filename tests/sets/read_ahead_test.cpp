#include "sets/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace onnxrun::testing {

namespace {

ReadAhead::Fill numbers() {
  return [](int64_t k, std::vector<Tensor>& tensors) {
    if (tensors.empty()) tensors.emplace_back(DType::Int64, Dims{1});
    tensors[0].data<int64_t>()[0] = k;
  };
}

int64_t value(std::span<const Tensor> tensors) { return tensors[0].data<int64_t>()[0]; }

// What was taken stays as it is while others are read.
TEST(ReadAhead, KeepsWhatIsUsed) {
  ReadAhead reader(3);
  reader.start(0, 1000, numbers());
  for (int64_t k = 0; k < 1000; ++k) {
    EXPECT_EQ(reader.expected(), k);
    std::span<const Tensor> batch = reader.take(k);
    EXPECT_EQ(value(batch), k);
    EXPECT_EQ(value(batch), k);
  }
}

TEST(ReadAhead, BeginsAnew) {
  ReadAhead reader(4);
  for (int64_t first = 0; first < 200; ++first) {
    reader.start(first, first + 5, numbers());
    EXPECT_EQ(value(reader.take(first)), first);
    EXPECT_EQ(value(reader.take(first + 1)), first + 1);
  }
  reader.start(0, 0, numbers());
}

// Not before its turn.
TEST(ReadAhead, ThrowsWhatFillingThrew) {
  ReadAhead reader(4);
  std::atomic<int> fills = 0;
  reader.start(0, 10, [&](int64_t k, std::vector<Tensor>& tensors) {
    ++fills;
    if (k == 2) throw std::runtime_error("torn");
    numbers()(k, tensors);
  });
  EXPECT_EQ(value(reader.take(0)), 0);
  EXPECT_EQ(value(reader.take(1)), 1);
  EXPECT_THROW(reader.take(2), std::runtime_error);
  EXPECT_EQ(fills, 3);
  reader.start(3, 10, numbers());
  EXPECT_EQ(value(reader.take(3)), 3);
}

}  // namespace

}  // namespace onnxrun::testing
