// Sums and rows of normalisations on every instruction set.
#include "kernels/moments.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "kernels/finite_numbers.h"
#include "kernels/normalize.h"

namespace onnxrun {
namespace {

class NormalizedRows : public testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, NormalizedRows,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

// Around vectors, sixteen lanes and blocks.
constexpr int64_t row_lengths[] = {1, 3, 7, 15, 16, 17, 31, 64, 100, 1023, 1024, 1025, 3000};

template <typename T>
std::vector<T> row_numbers(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-3, 5);
  std::vector<T> values(static_cast<size_t>(n));
  for (T& v : values) v = static_cast<T>(uniform(random));
  return values;
}

template <typename T>
void expect_sums_of_lanes() {
  for (int64_t n : row_lengths) {
    SCOPED_TRACE(n);
    const auto xs = row_numbers<T>(n, 1);
    const T* x = xs.data();
    const T centre = T(0.7);
    EXPECT_EQ(sum_of(x, n), lane_sum<T>(n, [&](int64_t i) { return x[i]; }));
    EXPECT_EQ(sum_of_squares(x, n, centre),
              lane_sum<T>(n, [&](int64_t i) { return (x[i] - centre) * (x[i] - centre); }));
  }
}

// Rows with something between them, as many as are summed at once and not.
template <typename T>
void expect_sums_of_rows() {
  const T centre = T(0.7);
  for (int64_t n : row_lengths) {
    for (int64_t rows : {1, 2, 4, 7}) {
      SCOPED_TRACE(n);
      const Stretches s{rows, n + 5, n};
      const auto xs = row_numbers<T>(rows * s.step, 1), dys = row_numbers<T>(rows * s.step, 2);
      double x_sum = 0, dy_sum = 0, squares = 0, products = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const T *x = xs.data() + r * s.step, *dy = dys.data() + r * s.step;
        const auto distance = [&](int64_t i) { return x[i] - centre; };
        x_sum += lane_sum<T>(n, [&](int64_t i) { return x[i]; });
        dy_sum += lane_sum<T>(n, [&](int64_t i) { return dy[i]; });
        squares += lane_sum<T>(n, [&](int64_t i) { return distance(i) * distance(i); });
        products += lane_sum<T>(n, [&](int64_t i) { return dy[i] * distance(i); });
      }
      EXPECT_EQ(sum_of(xs.data(), s), x_sum);
      EXPECT_EQ(sum_of_squares(xs.data(), s, centre), squares);
      const TwoSums sums = sums_of(dys.data(), xs.data(), s);
      EXPECT_EQ(sums.first, dy_sum);
      EXPECT_EQ(sums.second, x_sum);
      const TwoSums centred = centred_sums(dys.data(), xs.data(), s, centre);
      EXPECT_EQ(centred.first, products);
      EXPECT_EQ(centred.second, squares);
    }
  }
}

TEST_P(NormalizedRows, SumsOfRowsHaveTheBitsOfLanes) {
  expect_sums_of_rows<float>();
  expect_sums_of_rows<double>();
}

TEST_P(NormalizedRows, SumsHaveTheBitsOfLanes) {
  expect_sums_of_lanes<float>();
  expect_sums_of_lanes<double>();
}

template <typename T>
void expect_rows() {
  const NormalizedRow<T> row{T(0.3), T(1.7), T(-0.2)};
  const NormalizedRowGradient<T> gradient{T(0.3), T(1.7), T(0.1), T(0.05)};
  for (int64_t n : row_lengths) {
    SCOPED_TRACE(n);
    const auto x = row_numbers<T>(n, 1), dy = row_numbers<T>(n, 2);
    // What lies behind the row stays.
    std::vector<T> y(x.size() + 1, T(9)), dx = y, y_expected = y, dx_expected = y;
    for (size_t i = 0; i < x.size(); ++i) {
      y_expected[i] = (x[i] - row.mean) * row.factor + row.bias;
      dx_expected[i] =
          (dy[i] - gradient.mean_dy - (x[i] - gradient.mean) * gradient.slope) * gradient.factor;
    }
    normalize_row(row, x.data(), n, y.data());
    normalize_row_gradient(gradient, dy.data(), x.data(), n, dx.data());
    EXPECT_EQ(y, y_expected);
    EXPECT_EQ(dx, dx_expected);
  }
}

TEST_P(NormalizedRows, AreWhatTheirFormulasSay) {
  expect_rows<float>();
  expect_rows<double>();
}

template <typename T>
std::vector<T> scaled_row(const ScaledRow<T>& r, const std::vector<T>& x) {
  std::vector<T> y;
  for (size_t i = 0; i < x.size(); ++i) {
    T v = (x[i] - r.mean) * r.factor;
    if (r.scale) v *= r.scale[i];
    if (r.bias) v += r.bias[i];
    y.push_back(v);
  }
  return y;
}

// dx, and what is added to `sums`.
template <typename T>
std::vector<T> scaled_gradient(const ScaledRowGradient<T>& r, const std::vector<T>& dy,
                               const std::vector<T>& x, std::vector<T>& sums) {
  const auto n = static_cast<int64_t>(x.size());
  auto at = [](const std::vector<T>& v, int64_t i) { return v[static_cast<size_t>(i)]; };
  auto h = [&](int64_t i) { return (at(x, i) - r.mean) * r.factor; };
  auto g = [&](int64_t i) { return r.scale ? at(dy, i) * r.scale[i] : at(dy, i); };
  const auto length = static_cast<double>(n);
  const T mean_g = static_cast<T>(lane_sum<T>(n, g) / length);
  const T mean_gh = static_cast<T>(lane_sum<T>(n, [&](int64_t i) { return g(i) * h(i); }) / length);
  std::vector<T> dx;
  for (int64_t i = 0; i < n; ++i) {
    dx.push_back((g(i) - mean_g - h(i) * mean_gh) * r.factor);
    sums[static_cast<size_t>(i)] += at(dy, i) * h(i);
    sums[static_cast<size_t>(n + i)] += at(dy, i);
  }
  return dx;
}

template <typename T>
void expect_scaled_rows() {
  for (int64_t n : row_lengths) {
    const auto x = row_numbers<T>(n, 1), dy = row_numbers<T>(n, 2), scale = row_numbers<T>(n, 3),
               bias = row_numbers<T>(n, 4);
    for (int parts : {0, 1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << n << " with " << parts);
      const T *s = parts & 1 ? scale.data() : nullptr, *b = parts & 2 ? bias.data() : nullptr;
      std::vector<T> y(x.size()), dx(x.size()), sums = row_numbers<T>(2 * n, 5), expected = sums;
      const ScaledRow<T> row{T(0.3), T(1.7), s, b};
      normalize_row(row, x.data(), n, y.data());
      EXPECT_EQ(y, scaled_row(row, x));
      ScaledRowGradient<T> gradient{T(0.3), T(1.7), s, parts & 2 ? sums.data() : nullptr};
      normalize_row_gradient(gradient, dy.data(), x.data(), n, dx.data());
      EXPECT_EQ(dx, scaled_gradient(gradient, dy, x, expected));
      if (gradient.sums) {
        EXPECT_EQ(sums, expected);
      }
    }
  }
}

TEST_P(NormalizedRows, HaveScalesAndBiases) {
  expect_scaled_rows<float>();
  expect_scaled_rows<double>();
}

template <typename T>
void expect_finite() {
  using Limits = std::numeric_limits<T>;
  for (int64_t n : row_lengths) {
    SCOPED_TRACE(n);
    auto x = row_numbers<T>(n, 1);
    x[0] = Limits::max();
    EXPECT_TRUE(are_finite(x.data(), n));
    for (size_t i = 0; i < x.size(); i += 1 + x.size() / 40) {
      for (T bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
        const T good = std::exchange(x[i], bad);
        EXPECT_FALSE(are_finite(x.data(), n)) << i;
        x[i] = good;
      }
    }
    // Not looked at.
    x.push_back(Limits::quiet_NaN());
    EXPECT_TRUE(are_finite(x.data(), n));
  }
}

TEST_P(NormalizedRows, NumbersThatAreNotFiniteAreFound) {
  expect_finite<float>();
  expect_finite<double>();
}

}  // namespace
}  // namespace onnxrun
