#include "kernels/vector_math.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "support/thinning.h"

namespace onnxrun {
namespace {

using Exact = long double (*)(long double);
template <typename T>
using Vectorised = void (*)(const T*, T*, int64_t);

long double sigmoid_l(long double x) { return 1 / (1 + std::exp(-x)); }
long double silu_l(long double x) { return std::isinf(x) && x < 0 ? -0.0L : x * sigmoid_l(x); }
long double softplus_l(long double x) {
  return std::max(x, 0.0L) + std::log1p(std::exp(-std::fabs(x))) + 0 * x;
}
long double softplus_or_limit(long double x) {
  return std::isinf(x) ? std::max(x, 0.0L) : softplus_l(x);
}
long double gelu_l(long double x) {
  if (std::isinf(x)) return x > 0 ? x : -0.0L;
  return x * std::erfc(-x / std::numbers::sqrt2_v<long double>) / 2;
}
long double gelu_tanh_l(long double x) {
  if (std::isinf(x)) return x > 0 ? x : -0.0L;
  long double a = 2 * std::sqrt(2 * std::numbers::inv_pi_v<long double>);
  return x / (1 + std::exp(-a * (x + 0.044715L * x * x * x)));
}

// Every test runs once for each instruction set of this processor.
class VectorMath : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, VectorMath,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

struct VectorMathRow {
  std::string name;
  Vectorised<float> f;
  Vectorised<double> d;
  Exact exact;
  double limit = 4;  // ulps
};

template <typename T>
Vectorised<T> pick(const VectorMathRow& row) {
  if constexpr (std::is_same_v<T, float>)
    return row.f;
  else
    return row.d;
}

const std::vector<VectorMathRow>& rows() {
  static const std::vector<VectorMathRow> all = {
      {"exp", vexp, vexp, [](long double x) { return std::exp(x); }},
      {"expm1", vexpm1, vexpm1, [](long double x) { return std::expm1(x); }},
      {"log", vlog, vlog, [](long double x) { return std::log(x); }},
      {"log1p", vlog1p, vlog1p, [](long double x) { return std::log1p(x); }},
      {"tanh", vtanh, vtanh, [](long double x) { return std::tanh(x); }},
      {"sigmoid", vsigmoid, vsigmoid, sigmoid_l},
      {"silu", vsilu, vsilu, silu_l},
      {"softplus", vsoftplus, vsoftplus, softplus_or_limit},
      {"erf", verf, verf, [](long double x) { return std::erf(x); }},
      {"gelu", vgelu, vgelu, gelu_l, 5},
      {"gelu_tanh", vgelu_tanh, vgelu_tanh, gelu_tanh_l},
      {"sin", vsin, vsin, [](long double x) { return std::sin(x); }},
      {"cos", vcos, vcos, [](long double x) { return std::cos(x); }},
      {"sqrt", vsqrt, vsqrt, [](long double x) { return std::sqrt(x); }},
  };
  return all;
}

// How far `got` is from `exact` in units of T's last place there; 0 for equal non-finite values.
template <typename T>
double ulps(T got, long double exact) {
  T rounded = static_cast<T>(exact);
  if (std::isnan(rounded) || std::isnan(got))
    return std::isnan(rounded) == std::isnan(got) ? 0 : 1e30;
  if (std::isinf(rounded) || std::isinf(got)) {
    if (got == rounded) return 0;
    bool nearly = std::fabs(got) >= std::numeric_limits<T>::max() &&
                  std::fabs(rounded) >= std::numeric_limits<T>::max() &&
                  std::signbit(got) == std::signbit(rounded);
    return nearly ? 1 : 1e30;
  }
  if (got == 0 && rounded == 0 && std::signbit(got) != std::signbit(rounded)) return 1e30;
  int exponent =
      std::max(std::ilogb(exact == 0 ? 1e-4000L : exact), std::numeric_limits<T>::min_exponent - 1);
  long double unit = std::scalbn(1.0L, exponent - std::numeric_limits<T>::digits + 1);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact) / unit);
}

// All magnitudes and signs, by even steps through the bit patterns, plus denser ordinary numbers.
template <typename T>
std::vector<T> sweep() {
  using Word = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr int64_t count = 40001 / thinning;
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i) {
    x.push_back(std::bit_cast<T>(static_cast<Word>(static_cast<Word>(-1) / count * i)));
  }
  for (int64_t i = 0; i < count; ++i) {
    x.push_back(static_cast<T>(-120 + 240.0 * static_cast<double>(i) / count));
    x.push_back(static_cast<T>(-3 + 6.0 * static_cast<double>(i) / count));
    if (sizeof(T) == 8) x.push_back(static_cast<T>(-760 + 1520.0 * static_cast<double>(i) / count));
    // Multiples of pi / 2, where sines vanish, and neighbourhoods of 1, where logarithms do.
    if (i < 20000) x.push_back(static_cast<T>(static_cast<double>(i) * std::numbers::pi / 2));
    if (i < 2000) x.push_back(1 + static_cast<T>(i - 1000) * std::numeric_limits<T>::epsilon());
  }
  return x;
}

template <typename T>
void expect_within_ulps(const VectorMathRow& row, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  pick<T>(row)(x.data(), y.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double u = ulps(y[i], row.exact(x[i]));
    if (u > worst) worst = u, at = i;
  }
  EXPECT_LE(worst, row.limit) << row.name << (sizeof(T) == 4 ? " float" : " double") << " at "
                              << x[at] << ": got " << y[at] << ", expected "
                              << static_cast<double>(row.exact(x[at]));
}

TEST_P(VectorMath, WithinAFewUlps) {
  std::vector<float> xf = sweep<float>();
  std::vector<double> xd = sweep<double>();
  for (const VectorMathRow& row : rows()) {
    expect_within_ulps(row, xf);
    expect_within_ulps(row, xd);
  }
}

template <typename T>
std::vector<T> specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> x = {
      0,       L::denorm_min(), L::min(), T(1e-20),      T(0.5),        1, 2, T(1e5), T(1048577),
      T(1e12), T(1e22),         L::max(), L::infinity(), L::quiet_NaN()};
  for (size_t i = 0, n = x.size(); i < n; ++i) x.push_back(-x[i]);
  return x;
}

TEST_P(VectorMath, SpecialValues) {
  for (const VectorMathRow& row : rows()) {
    expect_within_ulps(row, specials<float>());
    expect_within_ulps(row, specials<double>());
  }
}

// The same bits for an element wherever it stands, however many there are, in place or not.
template <typename T>
void expect_position_independent(const VectorMathRow& row) {
  std::vector<T> x;
  for (int i = 0; i < 67; ++i) x.push_back(static_cast<T>(std::sin(i) * std::exp(i % 17 - 8)));
  x[13] = T(1e12);
  std::vector<T> whole(x.size());
  pick<T>(row)(x.data(), whole.data(), static_cast<int64_t>(x.size()));
  for (size_t begin = 0; begin < x.size(); ++begin) {
    for (size_t n = 0; begin + n <= x.size(); n += 1 + n / 5) {
      std::vector<T> part(x.begin() + static_cast<int64_t>(begin),
                          x.begin() + static_cast<int64_t>(begin + n));
      part.push_back(77);
      pick<T>(row)(part.data(), part.data(), static_cast<int64_t>(n));
      ASSERT_EQ(part.back(), 77) << row.name << " wrote past the end";
      ASSERT_EQ(n == 0 ? 0 : std::memcmp(part.data(), &whole[begin], n * sizeof(T)), 0)
          << row.name << " from " << begin << ", " << n << " elements";
    }
  }
}

TEST_P(VectorMath, ResultsDoNotDependOnPosition) {
  for (const VectorMathRow& row : rows()) {
    expect_position_independent<float>(row);
    expect_position_independent<double>(row);
  }
}

template <typename T>
void expect_pow(const std::vector<T>& x, const std::vector<T>& y) {
  std::vector<T> out(x.size());
  vpow(x.data(), y.data(), out.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    T one = 0;
    vpow(&x[i], y[i], &one, 1);
    ASSERT_EQ(std::isnan(one), std::isnan(out[i]));
    ASSERT_TRUE(one == out[i] || std::isnan(one)) << x[i] << "^" << y[i];
    long double exact = std::pow(static_cast<long double>(x[i]), static_cast<long double>(y[i]));
    ASSERT_LE(ulps(out[i], exact), 1) << x[i] << "^" << y[i] << ": got " << out[i];
  }
}

TEST_P(VectorMath, Pow) {
  std::vector<float> x, y;
  for (float a : specials<float>()) {
    for (float b : specials<float>()) x.push_back(a), y.push_back(b);
    for (float b : {-3.0f, -2.0f, -0.5f, 3.0f, 16777217.0f, 0.1f}) x.push_back(a), y.push_back(b);
  }
  expect_pow(x, y);
  expect_pow(std::vector<double>(x.begin(), x.end()), std::vector<double>(y.begin(), y.end()));
  x.clear(), y.clear();
  for (int i = 0; i < 40000; ++i) {
    x.push_back(static_cast<float>(std::exp(40 * std::sin(i * 0.37))) * (i % 3 ? 1 : -1));
    y.push_back(i % 3 ? 20 * static_cast<float>(std::cos(i)) : static_cast<float>(i % 7 - 3));
  }
  expect_pow(x, y);
}

template <typename T>
void expect_all_finite() {
  std::vector<T> x(133, 1);
  x[3] = std::numeric_limits<T>::max();
  x[4] = std::numeric_limits<T>::denorm_min();
  for (size_t n = 0; n <= x.size(); ++n) {
    EXPECT_TRUE(all_finite(x.data(), static_cast<int64_t>(n)));
    if (n == x.size()) break;
    for (T bad : {std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                  std::numeric_limits<T>::quiet_NaN()}) {
      T good = std::exchange(x[n], bad);
      EXPECT_TRUE(all_finite(x.data(), static_cast<int64_t>(n))) << n;
      EXPECT_FALSE(all_finite(x.data(), static_cast<int64_t>(n) + 1)) << n;
      EXPECT_FALSE(all_finite(x.data(), static_cast<int64_t>(x.size()))) << n;
      x[n] = good;
    }
  }
}

TEST_P(VectorMath, AllFinite) {
  expect_all_finite<float>();
  expect_all_finite<double>();
}

template <typename T>
void expect_maximum() {
  using L = std::numeric_limits<T>;
  EXPECT_EQ(maximum(static_cast<const T*>(nullptr), 0), -L::infinity());
  EXPECT_EQ(minimum(static_cast<const T*>(nullptr), 0), L::infinity());
  std::vector<T> x(75);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(std::sin(static_cast<double>(i) * 7));
  for (size_t n = 1; n <= x.size(); ++n) {
    auto count = static_cast<int64_t>(n);
    EXPECT_EQ(maximum(x.data(), count), *std::max_element(x.begin(), x.begin() + count));
    EXPECT_EQ(minimum(x.data(), count), *std::min_element(x.begin(), x.begin() + count));
    T old = std::exchange(x[n - 1], L::quiet_NaN());
    EXPECT_TRUE(std::isnan(maximum(x.data(), 75))) << n;
    EXPECT_TRUE(std::isnan(minimum(x.data(), 75))) << n;
    x[n - 1] = old;
  }
}

TEST_P(VectorMath, Maximum) {
  expect_maximum<float>();
  expect_maximum<double>();
}

template <typename T>
void expect_sum() {
  std::vector<T> x;
  for (int i = 0; i < 1000; ++i) x.push_back(static_cast<T>((i % 7 - 2) * 1024 + i));
  double sum = 0;
  for (int64_t n = 0; n <= 1000; ++n) {
    // Whole numbers, which no order of adding rounds.
    EXPECT_EQ(sum_in_double(x.data(), n), sum) << n;
    if (n < 1000) sum += static_cast<double>(x[static_cast<size_t>(n)]);
  }
  const std::vector<T> tenths(40, static_cast<T>(0.1));
  EXPECT_NEAR(sum_in_double(tenths.data(), 40), 40 * static_cast<double>(static_cast<T>(0.1)),
              1e-14);
}

template <typename T>
void expect_exp_and_sum() {
  std::vector<T> x;
  for (int i = 0; i < 300; ++i) x.push_back(static_cast<T>(std::sin(i) * 5));
  for (const int64_t n : {0, 1, 15, 16, 17, 63, 128, 131, 300}) {
    const T top = largest_number(x.data(), n);
    std::vector<T> shifted, y(x.size()), alone(x.size());
    for (const T v : x) shifted.push_back(v - top);
    vexp(shifted.data(), alone.data(), n);
    const double sum = exp_and_sum(x.data(), top, y.data(), n);
    double exact = 0;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      EXPECT_EQ(y[i], alone[i]) << i << " of " << n;
      exact += static_cast<double>(y[i]);
    }
    EXPECT_NEAR(sum, exact, exact * 4 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    std::vector<T> in_place = x;
    EXPECT_EQ(exp_and_sum(in_place.data(), top, in_place.data(), n), sum);
    EXPECT_TRUE(std::equal(y.begin(), y.begin() + n, in_place.begin()));
  }
  x[131] = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> y(x.size());
  EXPECT_TRUE(std::isnan(exp_and_sum(x.data(), T{5}, y.data(), 300)));
}

TEST_P(VectorMath, ExpAndSum) {
  expect_exp_and_sum<float>();
  expect_exp_and_sum<double>();
}

template <typename T>
void expect_largest_number() {
  EXPECT_EQ(largest_number(static_cast<const T*>(nullptr), 0), -std::numeric_limits<T>::infinity());
  for (size_t n = 1; n < 150; ++n) {
    std::vector<T> x(n, T{-3});
    for (size_t at = 0; at < n; ++at) {
      x[at] = -1;
      EXPECT_EQ(largest_number(x.data(), static_cast<int64_t>(n)), -1) << at << " of " << n;
      x[at] = -3;
    }
  }
}

TEST_P(VectorMath, LargestNumber) {
  expect_largest_number<float>();
  expect_largest_number<double>();
}

TEST_P(VectorMath, SumsInDouble) {
  expect_sum<float>();
  expect_sum<double>();
}

}  // namespace
}  // namespace onnxrun
