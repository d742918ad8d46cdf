#include "onnxrun/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "fit/class_data.h"
#include "fit/schedule.h"
#include "support/corpus.h"

namespace onnxrun::testing {

namespace {

NamedTensors data() {
  Tensor x(DType::Float32, {32, 16}), y(DType::Int64, {32});
  for (int64_t i = 0; i < 32 * 16; ++i) {
    x.data<float>()[i] = static_cast<float>(i * 7 % 13) + (i % 16 == i / 16 % 8 ? 9.F : 0.F);
  }
  for (int64_t i = 0; i < 32; ++i) y.data<int64_t>()[i] = i % 8;
  return {{"x", x}, {"target", y}};
}

TEST(LearningRate, IsWhereTheLossFalls) {
  FitOptions options;
  options.feed.batch_size = 8;
  options.epochs = 1;
  RateSweep sweep = find_learning_rate(classifier(), data(), options);
  ASSERT_GT(sweep.points.size(), 50U);
  EXPECT_NEAR(sweep.points.front().lr, 1e-7, 1e-15);
  ASSERT_TRUE(sweep.suggestion.has_value());
  EXPECT_GT(*sweep.suggestion, 1e-6);
  EXPECT_LT(*sweep.suggestion, 5);
  // It ends before the numbers do.
  EXPECT_LT(sweep.points.back().smoothed, 1e6);
  RateSweep again = find_learning_rate(classifier(), data(), options);
  EXPECT_EQ(again.suggestion, sweep.suggestion);
}

TEST(LearningRate, NeedsARange) {
  for (SweepOptions sweep : {SweepOptions{0, 1}, SweepOptions{1, 1}, SweepOptions{1e-3, 1, 1},
                             SweepOptions{1e-3, 1, 10, 1}}) {
    EXPECT_THROW(find_learning_rate(classifier(), data(), {}, sweep), Error);
  }
  SweepOptions few{1e-3, 1e-2, 5};
  EXPECT_FALSE(find_learning_rate(classifier(), data(), {}, few).suggestion.has_value());
}

TEST(LearningRate, SweepsByEqualFactors) {
  Schedule schedule("sweep:0.01:100", 7, {.steps = 5});
  for (int64_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(schedule.rate(k), 0.01 * std::pow(10, k), 1e-12 * std::pow(10, k));
  }
  for (const char* text : {"sweep", "sweep:1", "sweep:0:1", "sweep:1:0", "sweep:1:2:3"}) {
    EXPECT_THROW(Schedule(text, 1, {}), Error) << text;
  }
}

}  // namespace

}  // namespace onnxrun::testing
