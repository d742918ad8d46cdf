// Floats to bytes and back on every instruction set against plain loops.
#include "kernels/linear_quantization.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/threads.h"

namespace onnxrun {
namespace {

class LinearQuantization : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, LinearQuantization,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

std::vector<float> numbers(size_t n, float most, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-most, most);
  std::vector<float> values(n);
  for (float& v : values) v = uniform(random);
  return values;
}

int32_t level(float x, float scale, int32_t zero, bool is_signed) {
  const float low = is_signed ? -128 : 0;
  const float y = std::nearbyint(x / scale) + static_cast<float>(zero);
  return static_cast<int32_t>(std::min(std::max(low, y), low + 255));
}

int32_t level_of(uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<int8_t>(byte) : byte;
}

TEST_P(LinearQuantization, RoundsAsAPlainLoop) {
  for (size_t n : {1, 15, 16, 63, 64, 65, 200}) {
    std::vector<float> x = numbers(n, 40, 1), scales = numbers(n, 0.4F, 2);
    for (float& s : scales) s = std::fabs(s) + 0.05F;
    std::vector<int32_t> zeros;
    for (size_t i = 0; i < n; ++i) zeros.push_back(static_cast<int32_t>(7 * i % 100));
    const float special[] = {0.125F, -0.125F, 0.375F, INFINITY, -INFINITY, 1e30F, -0.0F};
    std::copy_n(special, std::min<size_t>(n, std::size(special)), x.begin());
    for (bool is_signed : {false, true}) {
      for (bool lists : {false, true}) {
        LinearScale s{0.25F, 11, is_signed};
        if (lists) {
          s.scales = scales.data();
          s.zero_points = zeros.data();
        }
        std::vector<uint8_t> y(n + 1, 0x5a);
        std::vector<float> back(n + 1, 9);
        quantize_linear(s, x.data(), static_cast<int64_t>(n), y.data());
        dequantize_linear(s, y.data(), static_cast<int64_t>(n), back.data());
        for (size_t i = 0; i < n; ++i) {
          const float scale = lists ? scales[i] : 0.25F;
          const int32_t zero = lists ? zeros[i] : 11;
          ASSERT_EQ(level_of(y[i], is_signed), level(x[i], scale, zero, is_signed)) << x[i];
          ASSERT_EQ(back[i], static_cast<float>(level_of(y[i], is_signed) - zero) * scale) << i;
        }
        EXPECT_EQ(y[n], 0x5a);
        EXPECT_EQ(back[n], 9);
      }
    }
  }
}

TEST_P(LinearQuantization, NaNIsTheLowestLevel) {
  const std::vector<float> x(21, std::numeric_limits<float>::quiet_NaN());
  std::vector<uint8_t> y(21, 1);
  quantize_linear({1, 5}, x.data(), 21, y.data());
  EXPECT_EQ(y, std::vector<uint8_t>(21, 0));
}

TEST_P(LinearQuantization, Range) {
  for (size_t n : {1, 5, 64, 100, 257}) {
    std::vector<float> x = numbers(n, 9, 3);
    const Extent range = range_of(x.data(), static_cast<int64_t>(n));
    EXPECT_EQ(range.low, *std::ranges::min_element(x));
    EXPECT_EQ(range.high, *std::ranges::max_element(x));
    for (size_t at : {size_t{0}, n / 2, n - 1}) {
      std::vector<float> with_nan = x;
      with_nan[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(range_of(with_nan.data(), static_cast<int64_t>(n)).high)) << at;
    }
  }
}

TEST_P(LinearQuantization, DynamicallyOnThreads) {
  const std::vector<float> x = numbers(300'000, 3, 4);
  std::vector<uint8_t> one(x.size()), many(x.size());
  const LinearScale s = quantize_dynamically(x.data(), 300'000, one.data());
  const ThreadScope threads(4);
  const LinearScale t = quantize_dynamically(x.data(), 300'000, many.data());
  EXPECT_EQ(s.scale, t.scale);
  EXPECT_EQ(s.zero_point, t.zero_point);
  EXPECT_EQ(one, many);
  for (size_t i = 0; i < x.size(); i += 997) {
    EXPECT_EQ(one[i], level(x[i], s.scale, s.zero_point, false));
  }
}

}  // namespace
}  // namespace onnxrun
