// What targets and samples are taken for.
#include "fit/target_reading.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "fit/sample_shape.h"

namespace onnxrun {

namespace {

using Kind = TargetReading::Kind;

const Dim batch = Dim::symbol("batch"), steps = Dim::symbol("time");

Type output(Shape shape) { return Type::tensor(DType::Float32, std::move(shape)); }

TEST(TargetReading, TellsNumbersFromClasses) {
  Tensor integers = Tensor::of<int64_t>({4}, {0, 1, 2, 1});
  Tensor whole = Tensor::of<float>({4}, {0, 1, 2, 1}),
         other = Tensor::of<float>({4}, {0, 1, 2, .5f});
  Tensor rows = Tensor::of<float>({2, 3}, {0, 1, 0, 1, 0, 0});
  EXPECT_EQ(read_target(output({batch, 3}), integers, 0).kind, Kind::Classes);
  EXPECT_EQ(read_target(output({batch, 3}), integers.view({4, 1}), 0).kind, Kind::Classes);
  EXPECT_EQ(read_target(output({batch, 3}), whole, 0).kind, Kind::Classes);
  EXPECT_EQ(read_target(output({batch, 3}), other, 0).kind, Kind::Numbers);
  EXPECT_EQ(read_target(output({batch, 1}), integers, 0).kind, Kind::Numbers);
  EXPECT_EQ(read_target(output({batch}), integers, 0).kind, Kind::Numbers);
  EXPECT_EQ(read_target(output({batch, steps, 1}), integers.view({2, 2}), 0).kind, Kind::Numbers);
  TargetReading one_hot = read_target(output({batch, 3}), rows, 0);
  EXPECT_EQ(one_hot.kind, Kind::OneHot);
  EXPECT_EQ(one_hot.axis, 1);
  EXPECT_EQ(read_target(output({batch, 3}), Tensor::of<float>({1, 3}, {1, 1, 0}), 0).kind,
            Kind::Numbers);
  EXPECT_EQ(read_target(output({steps, batch, 5}), integers.view({2, 2}), 1).class_axis, 2);
}

TEST(TargetReading, ClassesOfRows) {
  Tensor rows = Tensor::of<float>({2, 3}, {0, 1, 0, 0, 0, 1});
  EXPECT_TRUE(identical(classes_of_rows("t", rows, 1), Tensor::of<int64_t>({2}, {1, 2})));
  EXPECT_THROW(classes_of_rows("t", Tensor::of<float>({1, 2}, {1, 1}), 1), Error);
  EXPECT_THROW(classes_of_rows("t", Tensor::of<float>({1, 2}, {0, 0}), 1), Error);
}

TEST(SampleShape, TakesWhatHasTheElements) {
  auto taken = [](Shape shape, const Dims& data) {
    return reshaped_samples(output(std::move(shape)), data);
  };
  EXPECT_EQ(taken({batch, 1, 28, 28}, {5, 28, 28}), (Dims{5, 1, 28, 28}));
  EXPECT_EQ(taken({batch, 28, 28, 1}, {5, 28, 28}), (Dims{5, 28, 28, 1}));
  EXPECT_EQ(taken({batch, 784}, {5, 28, 28}), (Dims{5, 784}));
  EXPECT_EQ(taken({batch, 1, 28, 28}, {5, 784}), (Dims{5, 1, 28, 28}));
  EXPECT_EQ(taken({batch, 3, 8, 8}, {5, 8, 8, 3}), std::nullopt);
  EXPECT_EQ(taken({batch, 28, 28}, {5, 28, 28}), std::nullopt);
  EXPECT_EQ(taken({28, 28}, {5, 28, 28}), std::nullopt);
  EXPECT_EQ(taken({batch, 10}, {5, 28, 28}), std::nullopt);
}

TEST(SampleShape, FindsTheAxisNamedForTheBatch) {
  EXPECT_EQ(named_batch_axis(output({steps, batch, 3})), 1);
  EXPECT_EQ(named_batch_axis(output({batch, steps})), 0);
  EXPECT_EQ(named_batch_axis(output({steps, 3})), std::nullopt);
  EXPECT_EQ(named_batch_axis(output({batch, batch})), std::nullopt);
}

}  // namespace

}  // namespace onnxrun
