#include "kernels/convolution.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string_view>
#include <utility>

#include "kernels/channel_convolver.h"
#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"
#include "support/convolution_cases.h"

namespace onnxrun {
namespace {

// Every way to compute them is taken: by its own loops here, and as convolve() chooses.
const std::vector<ConvolutionCase> kernel_convolution_cases = {
    {2, 1, 1, 1, {7}, {3}, {1}, {1}, {1}},
    {1, 2, 3, 2, {19}, {4}, {2}, {3}, {4}},
    {3, 1, 2, 5, {9, 8}, {3, 2}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 3, 9, {10, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 3, 1, 1, {11, 9}, {3, 3}, {1, 1}, {2, 1}, {2, 1}},
    {2, 4, 1, 2, {12, 13}, {5, 3}, {2, 3}, {1, 1}, {2, 0}},
    {9, 1, 4, 3, {8, 8}, {3, 3}, {2, 2}, {1, 2}, {1, 2}},
    {1, 1, 2, 17, {20, 40}, {1, 5}, {1, 1}, {1, 1}, {0, 2}},
    {1, 2, 2, 2, {4, 6, 9}, {2, 3, 2}, {1, 2, 1}, {1, 1, 2}, {1, 1, 0}},
    {1, 1, 1, 2, {3, 4, 3, 4}, {2, 2, 2, 2}, {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 0, 1}},
};

template <typename T>
std::vector<T> numbers(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<T> values(static_cast<size_t>(n));
  for (T& v : values) v = static_cast<T>(uniform(random));
  return values;
}

template <typename T>
void expect_near(const std::vector<T>& actual, const std::vector<T>& expected) {
  double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-12;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
  }
}

template <typename T>
void compare(const ConvolutionCase& c) {
  ConvShape s = c.shape();
  ConvPlan plan(s);
  ASSERT_TRUE(plan.flat);
  int64_t in = s.x_at(s.batch, 0), out = s.y_at(s.batch, 0), weights = s.w_at(s.groups);
  auto x = numbers<T>(in, 1), w = numbers<T>(weights, 2), dy = numbers<T>(out, 3);
  auto bias = numbers<T>(s.groups * std::max(s.in_channels, s.out_channels), 4);
  MatrixConvolution<T> matrix(s);
  FlatConvolver<T> flat(s, *plan.flat);

  std::vector<T> expected(dy.size()), actual(dy.size());
  matrix.forward(x.data(), w.data(), bias.data(), expected.data());
  flat.forward(x.data(), w.data(), bias.data(), actual.data());
  expect_near(actual, expected);
  convolve(plan, x.data(), w.data(), bias.data(), actual.data());
  expect_near(actual, expected);

  expected.resize(w.size());
  actual.resize(w.size());
  matrix.weight_grad(x.data(), dy.data(), expected.data());
  flat.weight_grad(x.data(), dy.data(), actual.data());
  expect_near(actual, expected);
  convolve_weight_grad(plan, x.data(), dy.data(), actual.data());
  expect_near(actual, expected);

  expected.resize(x.size());
  actual.resize(x.size());
  matrix.input_grad(dy.data(), w.data(), bias.data(), expected.data());
  convolve_input_grad(plan, dy.data(), w.data(), bias.data(), actual.data());
  expect_near(actual, expected);
}

// Every kernel that applies gives what the last of its list does, which always applies.
template <typename T, typename List, typename F>
void compare_kernels(const List& kernels, const ConvPlan& plan, std::set<std::string_view>& seen,
                     const F& result) {
  const std::vector<T> expected = result(kernels.back());
  for (const auto& kernel : kernels) {
    if (!kernel.applies(plan)) continue;
    SCOPED_TRACE(kernel.name);
    seen.insert(kernel.name);
    expect_near(result(kernel), expected);
  }
}

template <typename T>
void compare_lists(const ConvolutionCase& c, std::set<std::string_view>& seen) {
  const ConvPlan plan(c.shape());
  const ConvShape& s = plan.shape;
  const auto x = numbers<T>(s.x_at(s.batch, 0), 1), w = numbers<T>(s.w_at(s.groups), 2),
             dy = numbers<T>(s.y_at(s.batch, 0), 3),
             bias = numbers<T>(s.groups * std::max(s.in_channels, s.out_channels), 4);
  const ConvKernels<T> kernels = conv_kernels<T>();
  compare_kernels<T>(kernels.forward, plan, seen, [&](const auto& kernel) {
    std::vector<T> y(dy.size());
    kernel.run(plan, x.data(), w.data(), bias.data(), y.data(), nullptr);
    return y;
  });
  compare_kernels<T>(kernels.input_grad, plan, seen, [&](const auto& kernel) {
    std::vector<T> dx(x.size());
    kernel.run(plan, dy.data(), w.data(), bias.data(), dx.data());
    return dx;
  });
  compare_kernels<T>(kernels.weight_grad, plan, seen, [&](const auto& kernel) {
    std::vector<T> dw(w.size());
    kernel.run(plan, x.data(), dy.data(), dw.data());
    return dw;
  });
}

class Convolutions : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, Convolutions,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

TEST_P(Convolutions, EveryWayGivesTheSame) {
  for (size_t i = 0; i < kernel_convolution_cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare<float>(kernel_convolution_cases[i]);
    compare<double>(kernel_convolution_cases[i]);
  }
}

// Blocks of one and two vectors, full and not; lines in several pieces, with and without padding;
// phases that meet few positions or none; windows that cut input off.
const std::vector<ConvolutionCase> many_channels = {
    {2, 1, 3, 16, {5, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {9, 1, 17, 33, {6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 2, 12, 40, {9, 31}, {3, 5}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 16, 16, {11, 14}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {1, 1, 13, 20, {8, 17}, {1, 1}, {2, 3}, {1, 1}, {0, 0}},
    {1, 1, 18, 31, {10, 19}, {3, 2}, {2, 4}, {2, 1}, {3, 0}},
    {1, 1, 12, 24, {7, 240}, {2, 3}, {1, 1}, {1, 2}, {1, 2}},
    {2, 3, 14, 15, {130}, {7}, {1}, {2}, {5}},
    {8, 1, 12, 12, {3, 5, 6}, {2, 3, 3}, {1, 2, 1}, {1, 1, 1}, {1, 1, 1}},
    {1, 1, 12, 16, {9, 26}, {3, 3}, {1, 1}, {1, 1}, {-2, -3}},
    {2, 1, 12, 16, {3, 2, 4, 5}, {2, 2, 2, 2}, {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 0, 1}},
    {2, 1, 16, 40, {11, 11}, {3, 3}, {1, 1}, {1, 1}, {0, 0}},
    {9, 1, 16, 20, {3, 12}, {3, 5}, {1, 1}, {1, 1}, {1, 2}},
    {1, 2, 14, 32, {4, 10}, {2, 2}, {1, 1}, {1, 2}, {1, 1}},
    {1, 1, 12, 12, {5, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 2}},
    {1, 1, 12, 12, {5, 10}, {3, 7}, {1, 1}, {1, 1}, {1, 3}},
};

template <typename T>
void compare_channels(const ConvolutionCase& c) {
  const ConvShape s = c.shape();
  const auto lines = ConvLines::of_output(s.window, s.in_channels);
  const auto left_out = ConvLines::of_output(s.window, s.in_channels, true);
  const auto lines_of_input = ConvLines::of_input(s.window, s.out_channels);
  ASSERT_TRUE(lines && lines_of_input);
  const auto x = numbers<T>(s.x_at(s.batch, 0), 1), w = numbers<T>(s.w_at(s.groups), 2);
  const auto dy = numbers<T>(s.y_at(s.batch, 0), 3);
  const auto bias = numbers<T>(s.groups * std::max(s.in_channels, s.out_channels), 4);
  const Limits<T> limits{-1, 2};
  const MatrixConvolution<T> matrix(s);
  const ChannelConvolver<T> forward(s, *lines, false, &limits), backward(s, *lines_of_input, true);
  std::vector<T> packed(static_cast<size_t>(forward.packed_size()));

  std::vector<T> expected(dy.size()), actual(dy.size());
  forward.pack_weights(w.data(), packed.data());
  forward.convolve(x.data(), packed.data(), bias.data(), actual.data());
  matrix.forward(x.data(), w.data(), bias.data(), expected.data(), &limits);
  expect_near(actual, expected);
  ChannelConvolver<T>(s, *left_out, false, &limits)
      .convolve(x.data(), packed.data(), bias.data(), expected.data());
  EXPECT_EQ(actual, expected);
  if (const auto flat = FlatWindows::of(s.window, s.in_channels)) {
    FlatConvolver<T>(s, *flat, &limits).forward(x.data(), w.data(), bias.data(), expected.data());
    EXPECT_EQ(actual, expected);
  }

  expected.assign(w.size(), 0);
  actual.assign(w.size(), 0);
  forward.weight_grad(x.data(), dy.data(), actual.data());
  matrix.weight_grad(x.data(), dy.data(), expected.data());
  expect_near(actual, expected);

  expected.assign(x.size(), 0);
  actual.assign(x.size(), 0);
  packed.resize(static_cast<size_t>(backward.packed_size()));
  backward.pack_weights(w.data(), packed.data());
  for (const T* b : {static_cast<const T*>(nullptr), bias.data()}) {
    backward.convolve(dy.data(), packed.data(), b, actual.data());
    matrix.input_grad(dy.data(), w.data(), b, expected.data());
    expect_near(actual, expected);
  }
}

TEST_P(Convolutions, VectorsOfChannelsGiveTheSame) {
  for (size_t i = 0; i < many_channels.size(); ++i) {
    SCOPED_TRACE(i);
    compare_channels<float>(many_channels[i]);
    compare_channels<double>(many_channels[i]);
  }
}

// What the windows of one kernel position never meet is not multiplied there, not even by 0.
TEST_P(Convolutions, WeightsOfPositionsThatDoNotMeetAnElementStayFinite) {
  for (int64_t outputs : {16, 32}) {
    const ConvShape s =
        ConvolutionCase{1, 1, 12, outputs, {7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}.shape();
    const auto lines = ConvLines::of_output(s.window, s.in_channels);
    ASSERT_TRUE(lines);
    const auto dy = numbers<float>(s.y_at(1, 0), 3);
    // The ends of the third line of channel 0.
    for (const auto& [element, unmet] : {std::pair<size_t, int>{18, 2}, {26, 0}}) {
      auto x = numbers<float>(s.x_at(1, 0), 1);
      x[element] = std::numeric_limits<float>::infinity();
      std::vector<float> dw(static_cast<size_t>(s.w_at(1)));
      ChannelConvolver<float>(s, *lines, false).weight_grad(x.data(), dy.data(), dw.data());
      for (size_t i = 0; i < dw.size(); ++i) {
        const bool meets = i / 9 % 12 == 0 && static_cast<int>(i % 3) != unmet;
        EXPECT_EQ(std::isfinite(dw[i]), !meets) << "element " << element << ", weight " << i;
      }
    }
  }
}

// Where little of lines of middling length is padding, sums leave it out.
TEST(ConvLines, LeaveOutPadding) {
  const auto leaves_out = [](const ConvolutionCase& c) {
    return ConvLines::of_output(c.shape().window, c.shape().in_channels, true)->leaves_out();
  };
  const Dims one = {1, 1};
  EXPECT_TRUE(leaves_out({1, 1, 16, 16, {8, 8}, {3, 3}, one, one, {1, 1}}));
  EXPECT_TRUE(leaves_out({1, 1, 16, 16, {11, 11}, {3, 5}, one, one, {0, 2}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {11, 11}, {3, 3}, one, one, {1, 0}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {7, 7}, {3, 3}, one, one, {1, 1}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {15, 15}, {3, 3}, one, one, {1, 1}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {12, 12}, {3, 7}, one, one, {0, 3}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {12, 20}, {3, 3}, {1, 2}, one, {0, 1}}));
  EXPECT_FALSE(leaves_out({1, 1, 16, 16, {128, 8}, {3, 3}, one, one, {1, 1}}));
}

// As many threads as there may be share lines, images or parts of the batch.
TEST(ConvPlan, VectorsOfChannelsHaveTheSameBitsOnAnyNumberOfThreads) {
  for (int64_t batch : {1, 9}) {
    const ConvShape s =
        ConvolutionCase{batch, 1, 32, 48, {40, 30}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}.shape();
    const ConvPlan plan(s);
    ASSERT_TRUE(plan.lines && plan.lines_of_input && plan.lines_of_weights);
    const auto x = numbers<float>(s.x_at(batch, 0), 1), w = numbers<float>(s.w_at(1), 2);
    const auto dy = numbers<float>(s.y_at(batch, 0), 3);
    std::vector<std::vector<float>> first;
    for (int threads : {1, 2, 3, 8}) {
      const ThreadScope scope(threads);
      std::vector<float> y(dy.size()), dx(x.size()), dw(w.size());
      convolve(plan, x.data(), w.data(), nullptr, y.data());
      convolve_input_grad(plan, dy.data(), w.data(), nullptr, dx.data());
      convolve_weight_grad(plan, x.data(), dy.data(), dw.data());
      if (first.empty()) first = {y, dx, dw};
      EXPECT_EQ(first, (std::vector{y, dx, dw})) << threads << " threads";
    }
  }
}

TEST(ConvPlan, KeepsConstantWeightsPacked) {
  const ConvShape s = ConvolutionCase{2, 2, 16, 32, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}.shape();
  ConvPlan plan(s);
  const auto x = numbers<float>(s.x_at(s.batch, 0), 1), w = numbers<float>(s.w_at(2), 2);
  std::vector<float> packed_each_time(static_cast<size_t>(s.y_at(s.batch, 0))), kept;
  convolve(plan, x.data(), w.data(), nullptr, packed_each_time.data());
  Tensor weights(DType::Float32, {64, 16, 3, 3});
  std::copy(w.begin(), w.end(), weights.data<float>());
  ASSERT_TRUE(plan.keeps_weights(weights));
  plan.packed = plan.packed_weights(weights);
  ASSERT_TRUE(plan.packed.defined());
  kept.resize(packed_each_time.size());
  convolve(plan, x.data(), nullptr, nullptr, kept.data());
  EXPECT_EQ(kept, packed_each_time);
}

TEST_P(Convolutions, EveryKernelOfTheListsGivesTheSame) {
  std::set<std::string_view> seen;
  std::vector<ConvolutionCase> cases = kernel_convolution_cases;
  cases.push_back({2, 1, 16, 32, {6, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
  cases.push_back({1, 3, 1, 1, {12, 16}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
  for (const ConvolutionCase& c : cases) {
    compare_lists<float>(c, seen);
    compare_lists<double>(c, seen);
  }
  EXPECT_EQ(seen, (std::set<std::string_view>{"channels", "depthwise", "flat", "matrix"}));
}

// Lines of all lengths, kernels that are and are not unrolled, padding that cuts input off.
template <typename T>
void compare_depthwise() {
  const std::vector<ConvolutionCase> depthwise = {
      {1, 3, 1, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 2, 1, 3, {9, 31}, {3, 3}, {1, 1}, {1, 2}, {0, 2}},
      {1, 2, 1, 1, {13, 40}, {3, 3}, {2, 1}, {1, 1}, {1, 1}},
      {1, 2, 1, 2, {11, 50}, {5, 3}, {1, 1}, {2, 1}, {3, 0}},
      {1, 1, 1, 1, {6, 33}, {2, 7}, {3, 1}, {1, 2}, {2, 5}},
      {3, 2, 1, 1, {70}, {4}, {1}, {3}, {2}},
      {1, 2, 1, 1, {9, 30}, {3, 3}, {1, 1}, {1, 1}, {-2, -3}},
  };
  for (size_t i = 0; i < depthwise.size(); ++i) {
    SCOPED_TRACE(i);
    ConvShape s = depthwise[i].shape();
    ConvPlan plan(s);
    ASSERT_TRUE(plan.flat && plan.depthwise);
    auto x = numbers<T>(s.x_at(s.batch, 0), 1), w = numbers<T>(s.w_at(s.groups), 2);
    auto bias = numbers<T>(s.groups * s.out_channels, 4);
    for (const T* b : {static_cast<const T*>(nullptr), static_cast<const T*>(bias.data())}) {
      std::vector<T> flat(static_cast<size_t>(s.y_at(s.batch, 0))), lines(flat.size());
      FlatConvolver<T>(s, *plan.flat).forward(x.data(), w.data(), b, flat.data());
      convolve_depthwise(s, *plan.depthwise, x.data(), w.data(), b, lines.data());
      ASSERT_EQ(flat, lines);
    }
  }
}

TEST_P(Convolutions, LinesHaveTheBitsOfPlanes) {
  compare_depthwise<float>();
  compare_depthwise<double>();
}

// One image in padding of any size: the planes would be larger than the image by far.
TEST(ConvPlan, HugeWindowsAreNoReasonForHugeMemory) {
  ConvolutionCase c{1, 1, 1, 1, {2}, {2}, {1 << 20}, {1 << 29}, {1 << 29}};
  EXPECT_FALSE(ConvPlan(c.shape()).flat);
  EXPECT_FALSE(ConvLines::of_output(c.shape().window, 1));
  EXPECT_FALSE(ConvLines::of_input(c.shape().window, 1));
}

}  // namespace
}  // namespace onnxrun
