// Convolutions of images whose channels are the last axis have the bits of those of planes.
#include "kernels/channels_last_convolution.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <limits>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "base/threads.h"
#include "kernels/channels_last_pooling.h"
#include "kernels/pooling.h"
#include "support/convolution_cases.h"
#include "support/thinning.h"

namespace onnxrun {
namespace {

using Floats = std::vector<float>;

// Pixels of one and more blocks of terms and of channels; groups of one channel with lines, columns
// and strides that padding cuts off, and sums that are products; lines with and without padding,
// strides, dilations, one to three axes; what is left to planes.
const std::vector<ConvolutionCase> channels_last_cases = {
    {2, 1, 3, 5, {4, 5}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},
    {1, 1, 24, 40, {13, 11}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},
    {3, 1, 300, 33, {7, 7}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 8, 17, {9}, {1}, {1}, {1}, {0}},
    {1, 1, 700, 600, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},
    {1, 1, 520, 600, {12, 12}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},
    {2, 20, 1, 1, {9, 17}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 33, 1, 1, {8, 8}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {1, 16, 1, 1, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 7, 1, 1, {11, 12}, {5, 5}, {1, 1}, {1, 1}, {2, 2}},
    {1, 18, 1, 1, {10, 15}, {3, 3}, {1, 2}, {2, 2}, {3, 2}},
    {1, 5, 1, 1, {2, 2}, {3, 4}, {1, 1}, {1, 1}, {2, 3}},
    {1, 4, 1, 1, {1, 1}, {3, 3}, {2, 2}, {1, 1}, {4, 4}},
    {3, 17, 1, 1, {21}, {3}, {1}, {1}, {1}},
    {1, 3, 1, 1, {3, 4, 5}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}},
    {1, 4, 1, 2, {6, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 2, 6, 16, {6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 1, 3, 16, {20, 22}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 1, 16, 16, {9, 32}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {9, 1, 12, 33, {11, 11}, {3, 3}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 16, 32, {16, 16}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 1, 16, 32, {16, 16}, {1, 1}, {2, 2}, {1, 1}, {0, 0}},
    {1, 1, 20, 12, {13, 14}, {3, 5}, {1, 1}, {2, 1}, {2, 0}},
    {1, 1, 15, 20, {30}, {7}, {1}, {1}, {3}},
    {1, 1, 5, 20, {5, 6, 7}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
    {2, 1, 40, 3, {2, 2}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
};

Floats random_floats_of(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = uniform(random);
  return values;
}

// [images][rows][columns] with the last two axes exchanged.
template <typename T>
std::vector<T> exchanged(const std::vector<T>& from, int64_t rows, int64_t columns) {
  std::vector<T> to(from.size());
  const auto plane = static_cast<size_t>(rows * columns);
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t at = i % plane, row = at / static_cast<size_t>(columns);
    const size_t column = at % static_cast<size_t>(columns);
    to[i - at + column * static_cast<size_t>(rows) + row] = from[i];
  }
  return to;
}

struct ImageData {
  ConvShape s;
  Floats x, w, bias;

  explicit ImageData(const ConvolutionCase& c)
      : s(c.shape()),
        x(random_floats_of(s.x_at(s.batch, 0), 1)),
        w(random_floats_of(s.w_at(s.groups), 2)),
        bias(random_floats_of(s.groups * s.out_channels, 3)) {}

  Floats expected(const float* b, const Limits<float>* limits) const {
    Floats y(static_cast<size_t>(s.y_at(s.batch, 0)));
    convolve(ConvPlan(s), x.data(), w.data(), b, y.data(), limits);
    return exchanged(y, s.groups * s.out_channels, s.window.output_size());
  }
  Floats image(bool of_planes) const {
    return of_planes ? x : exchanged(x, s.groups * s.in_channels, s.window.input_size());
  }
};

Floats result_of(const ChannelsLastConv& plan, const ImageData& data, const Floats& image,
                 const float* b, const Limits<float>* limits) {
  Floats y(static_cast<size_t>(data.s.y_at(data.s.batch, 0)));
  convolve(plan, image.data(), data.w.data(), b, y.data(), limits);
  return y;
}

class ChannelsLast : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, ChannelsLast,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

TEST_P(ChannelsLast, ConvolveWithTheSameBits) {
  std::set<std::string_view> ways;
  const Limits<float> both{-0.3F, 0.6F};
  for (size_t i = 0; i < channels_last_cases.size(); ++i) {
    const ImageData data(channels_last_cases[i]);
    for (bool of_planes : {false, true}) {
      SCOPED_TRACE("case " + std::to_string(i) + (of_planes ? " of planes" : ""));
      const Floats image = data.image(of_planes);
      const ChannelsLastConv plan(data.s, of_planes);
      ways.insert(plan.name());
      ChannelsLastConv kept = plan;
      Tensor w(DType::Float32, {static_cast<int64_t>(data.w.size())});
      std::copy(data.w.begin(), data.w.end(), w.data<float>());
      if (kept.keeps_weights(w)) kept.keep_weights(kept.packed_weights(w));
      for (size_t k = i % thinning; k < 4; k += thinning) {
        const float* bias = k < 2 ? data.bias.data() : nullptr;
        const Limits<float>* limits = k % 2 == 0 ? nullptr : &both;
        const Floats expected = data.expected(bias, limits);
        for (int threads : {1, 3}) {
          ThreadScope scope(threads);
          ASSERT_EQ(result_of(plan, data, image, bias, limits), expected) << threads;
          ASSERT_EQ(result_of(kept, data, image, bias, limits), expected) << threads;
        }
      }
    }
  }
  EXPECT_EQ(ways, (std::set<std::string_view>{"pixels", "depthwise", "channels", "planes"}));
}

TEST_P(ChannelsLast, ARowAloneIsTheRowInABatch) {
  for (ConvolutionCase c : channels_last_cases) {
    c.batch = 9;
    const ImageData all(c);
    const Floats image = all.image(false);
    const Floats expected = result_of({all.s, false}, all, image, all.bias.data(), nullptr);
    c.batch = 1;
    const ImageData one(c);
    const size_t in = one.x.size(), out = expected.size() / 9;
    for (size_t n = 0; n < 9; ++n) {
      const auto first = image.begin() + static_cast<std::ptrdiff_t>(n * in);
      const Floats row(first, first + static_cast<std::ptrdiff_t>(in));
      const auto y = expected.begin() + static_cast<std::ptrdiff_t>(n * out);
      ASSERT_EQ(result_of({one.s, false}, one, row, one.bias.data(), nullptr),
                Floats(y, y + static_cast<std::ptrdiff_t>(out)));
    }
  }
}

template <typename T>
void compare_pools(const ConvolutionCase& c, T special) {
  const Window w = c.shape().window;
  const Floats random = random_floats_of(c.batch * c.groups * w.input_size(), 5);
  std::vector<T> planes(random.begin(), random.end());
  for (size_t i = 5; i < planes.size(); i += 13) planes[i] = special;
  std::vector<T> expected(static_cast<size_t>(c.batch * c.groups * w.output_size()));
  const PlaneWalk walk(w);
  for (int64_t p = 0; p < c.batch * c.groups; ++p) {
    max_plane(walk, planes.data() + p * w.input_size(), expected.data() + p * w.output_size());
  }
  expected = exchanged(expected, c.groups, w.output_size());
  const std::vector<T> image = exchanged(planes, c.groups, w.input_size());
  for (int threads : {1, 3}) {
    ThreadScope scope(threads);
    std::vector<T> y(expected.size());
    max_channels_last(w, c.batch, c.groups, image.data(), y.data());
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(y[i] == expected[i] || (y[i] != y[i] && expected[i] != expected[i])) << i;
    }
  }
}

TEST_P(ChannelsLast, PoolsAreThoseOfPlanes) {
  const std::vector<ConvolutionCase> cases = {
      {2, 5, 1, 1, {6, 7}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
      {1, 33, 1, 1, {9, 8}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {3, 16, 1, 1, {11}, {3}, {1}, {2}, {2}},
      {1, 20, 1, 1, {4, 5, 6}, {2, 3, 2}, {1, 2, 2}, {1, 1, 1}, {1, 1, 0}},
      {40, 17, 1, 1, {8, 8}, {2, 3}, {1, 3}, {3, 2}, {2, 1}},
      {1, 3, 1, 1, {2, 2}, {2, 2}, {3, 3}, {1, 1}, {4, 4}},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    for (double special : {std::numeric_limits<double>::quiet_NaN(),
                           -std::numeric_limits<double>::infinity(), 0.5}) {
      compare_pools<float>(cases[i], static_cast<float>(special));
      compare_pools<double>(cases[i], special);
    }
  }
}

}  // namespace
}  // namespace onnxrun
