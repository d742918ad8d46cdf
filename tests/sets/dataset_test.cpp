#include "sets/dataset.h"

#include <algorithm>
#include <numeric>

#include "formats/print.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

// values[i] = i
Tensor counting(Dims dims) {
  Tensor t(DType::Int64, std::move(dims));
  std::iota(t.span<int64_t>().begin(), t.span<int64_t>().end(), 0);
  return t;
}

std::string epoch(Batches& batches, int64_t number = 0, size_t array = 0) {
  batches.start_epoch(number);
  std::string text;
  for (int64_t k = 0; k < batches.count(); ++k) text += json_values(batches.batch(k)[array]);
  return text;
}

BatchOptions in_order(int64_t size) { return {.batch_size = size, .shuffle = false}; }

TEST(Dataset, GivesBatchesInOrder) {
  Batches b(Dataset({{"x", counting({5, 2})}, {"y", counting({5})}}), in_order(2));
  EXPECT_EQ(b.count(), 3);
  EXPECT_EQ(b.size_of(2), 1);
  EXPECT_EQ(epoch(b), "[[0, 1], [2, 3]][[4, 5], [6, 7]][[8, 9]]");
  EXPECT_EQ(epoch(b, 0, 1), "[0, 1][2, 3][4]");
}

TEST(Dataset, DropsTheLastBatchAndSingleAxes) {
  Batches dropped(Dataset({{"x", counting({5})}}),
                  {.batch_size = 2, .shuffle = false, .drop_last = true});
  EXPECT_EQ(epoch(dropped), "[0, 1][2, 3]");
  Batches single(Dataset({{"x", counting({2, 2}), 0, true}, {"y", counting({2, 1})}}), in_order(1));
  EXPECT_EQ(epoch(single), "[0, 1][2, 3]");
  EXPECT_EQ(epoch(single, 0, 1), "[[0]][[1]]");
}

TEST(Dataset, GathersAlongAnyAxis) {
  Batches b(Dataset({{"x", counting({2, 3, 2}), 1}, {"y", counting({2, 3}), -1}}), in_order(2));
  EXPECT_EQ(epoch(b), "[[[0, 1], [2, 3]], [[6, 7], [8, 9]]][[[4, 5]], [[10, 11]]]");
  EXPECT_EQ(epoch(b, 0, 1), "[[0, 1], [3, 4]][[2], [5]]");
}

TEST(Dataset, GathersEveryKindOfElement) {
  Tensor small(DType::Int4, {3, 3});
  for (int64_t i = 0; i < 9; ++i) set_packed_bits(small.raw(), i, 4, static_cast<uint8_t>(i % 8));
  Tensor text = Tensor::of<std::string>({3}, {"a", "b", "c"});
  Batches b(Dataset({{"x", small}, {"s", text}}), in_order(2));
  EXPECT_EQ(epoch(b), "[[0, 1, 2], [3, 4, 5]][[6, 7, 0]]");
  EXPECT_EQ(epoch(b, 0, 1), "[\"a\", \"b\"][\"c\"]");
}

TEST(Dataset, PrebatchedSlicesAreBatches) {
  Dataset data({{"x", counting({2, 1, 2})}, {"lr", counting({2})}}, true);
  Batches b(data, in_order(32));
  EXPECT_EQ(b.count(), 2);
  EXPECT_EQ(epoch(b), "[[0, 1]][[2, 3]]");
  EXPECT_EQ(epoch(b, 0, 1), "01");
}

TEST(Dataset, ShufflesTheSameOnEveryMachine) {
  Batches b(Dataset({{"x", counting({10})}, {"y", counting({10})}}), {.batch_size = 10, .seed = 7});
  std::string first = epoch(b), second = epoch(b, 1);
  EXPECT_EQ(first, "[5, 6, 9, 1, 4, 2, 7, 3, 8, 0]");
  EXPECT_EQ(second, "[6, 2, 9, 5, 3, 7, 0, 1, 8, 4]");
  EXPECT_EQ(epoch(b, 0), first);
  EXPECT_EQ(epoch(b, 0, 1), first);
}

TEST(Dataset, BatchesReuseTheirBuffers) {
  Batches b(Dataset({{"x", counting({7})}}), in_order(2));
  const void* full = b.batch(0)[0].raw();
  const void* last = b.batch(3)[0].raw();
  EXPECT_NE(full, last);
  EXPECT_EQ(b.batch(2)[0].raw(), full);
  EXPECT_EQ(b.batch(3)[0].raw(), last);
}

TEST(Dataset, SplitsIntoParts) {
  Dataset data({{"x", counting({10})}});
  auto [rest, tail] = data.split(0.3, std::nullopt);
  Batches a(rest, in_order(7)), b(tail, in_order(3));
  EXPECT_EQ(epoch(a), "[0, 1, 2, 3, 4, 5, 6]");
  EXPECT_EQ(epoch(b), "[7, 8, 9]");
  auto [train, test] = data.split(0.3, 1);
  EXPECT_EQ(train.samples(), 7);
  EXPECT_EQ(test.samples(), 3);
  auto [x, y] = train.split(0.01, 1);
  EXPECT_EQ(y.samples(), 1);
  std::vector<int64_t> seen;
  for (const Dataset& part : {x, y, test}) {
    Batches batches(part, in_order(10));
    auto values = batches.batch(0)[0].span<int64_t>();
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
    seen.insert(seen.end(), values.begin(), values.end());
  }
  std::sort(seen.begin(), seen.end());
  std::vector<int64_t> all(10);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

TEST(Dataset, SaysWhatIsWrong) {
  auto bad = [](const std::string& text, std::vector<DataArray> arrays, bool prebatched = false) {
    expect_fails(ErrorKind::BadInput, text, [&] { Dataset(arrays, prebatched); });
  };
  bad("no arrays", {});
  bad("no samples", {{"x", counting({0, 2})}});
  bad("'x' is a single value", {{"x", counting({})}});
  bad("two arrays 'x'", {{"x", counting({1})}, {"x", counting({1})}});
  bad("the batch axis of array 'x' : axis 2 is out of range", {{"x", counting({1, 1}), 2}});
  bad("the numbers of samples differ: 'x' is int64[2,3] with 3 along axis 1, 'y' is int64[2] with "
      "2",
      {{"x", counting({2, 3}), 1}, {"y", counting({2})}});
  bad("the numbers of batches differ", {{"x", counting({2})}, {"y", counting({3})}}, true);
  Dataset data({{"x", counting({2})}});
  expect_fails(ErrorKind::Usage, "a batch size of 0", [&] { Batches(data, in_order(0)); });
  expect_fails(ErrorKind::BadInput, "2 samples do not fill one batch of 3",
               [&] { Batches(data, {.batch_size = 3, .drop_last = true}); });
  expect_fails(ErrorKind::Usage, "a split of 1", [&] { data.split(1, 0); });
  expect_fails(ErrorKind::BadInput, "cannot be split",
               [&] { data.subset(std::vector<int64_t>{0}).split(0.5, 0); });
}

}  // namespace
}  // namespace onnxrun::testing
