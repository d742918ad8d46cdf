// Ranges hold what arrays and functions of their elements are.
#include "kernels/ranges.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/array_functions.h"

namespace onnxrun {
namespace {

class Ranges : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, Ranges, ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

template <typename T>
std::vector<T> numbers_between(T low, T high, int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(static_cast<double>(low),
                                                 static_cast<double>(high));
  std::vector<T> values(static_cast<size_t>(n));
  for (T& v : values) v = std::clamp(static_cast<T>(uniform(random)), low, high);
  return values;
}

template <typename T>
void expect_ends() {
  for (int64_t n : {1, 2, 7, 16, 33, 64, 100}) {
    std::vector<T> x = numbers_between<T>(-3, 5, n, static_cast<unsigned>(n));
    for (size_t at = 0; at < x.size(); ++at) {
      SCOPED_TRACE(::testing::Message() << at << " of " << n);
      const T old = x[at];
      for (T end : {T(-40), T(40)}) {
        x[at] = end;
        const auto range = finite_range(x.data(), n);
        ASSERT_TRUE(range);
        EXPECT_EQ(range->low, *std::min_element(x.begin(), x.end()));
        EXPECT_EQ(range->high, *std::max_element(x.begin(), x.end()));
      }
      const T infinite = std::numeric_limits<T>::infinity();
      for (T bad : {infinite, -infinite, std::numeric_limits<T>::quiet_NaN()}) {
        x[at] = bad;
        EXPECT_FALSE(finite_range(x.data(), n));
      }
      x[at] = old;
    }
  }
}

TEST_P(Ranges, AreThoseOfArrays) {
  expect_ends<float>();
  expect_ends<double>();
}

template <typename T>
std::vector<Range<T>> some_ranges() {
  const T max = std::numeric_limits<T>::max(), least = std::numeric_limits<T>::denorm_min();
  return {{0, 0},
          {-1, 2},
          {T(0.5), 3},
          {-4, T(-0.25)},
          {0, T(1e-30)},
          {-30, 200},
          {100, 1000},
          {-max, max},
          {max / 2, max},
          {least, 1},
          {-max, -max / 4},
          {T(1e18), T(1e19)},
          {T(-1e-20), least}};
}

// What the function gives for numbers of the ranges, their ends among them.
template <typename T>
std::vector<T> results_of(ElementFunction f, const std::vector<Range<T>>& ranges, bool is_square) {
  constexpr int64_t n = 64;
  std::vector<std::vector<T>> operands;
  for (const Range<T>& r : ranges) {
    const auto seed = static_cast<unsigned>(operands.size());
    operands.push_back(numbers_between(r.low / 2, r.high / 2, n, seed));
    for (T& v : operands.back()) v = std::clamp(2 * v, r.low, r.high);
    for (size_t i = 0; i < 4; ++i) operands.back()[i] = (i >> seed) % 2 ? r.high : r.low;
  }
  const void* from[] = {operands[0].data(),
                        is_square ? operands[0].data() : operands.back().data()};
  std::vector<T> results(n);
  array_function<T>(f)(from, 0, results.data(), n);
  return results;
}

// Returns whether the range was told.
template <typename T>
bool expect_inside(ElementFunction f, const std::vector<Range<T>>& ranges, bool is_square) {
  const auto range = range_through<T>(f, ranges, is_square);
  if (!range) return false;
  for (T y : results_of(f, ranges, is_square)) {
    EXPECT_TRUE(y >= range->low && y <= range->high)
        << to_string(f) << " gives " << y << ", which is not from " << range->low << " to "
        << range->high;
  }
  return true;
}

template <typename T>
void expect_all_inside() {
  using enum ElementFunction;
  for (ElementFunction f : {Neg, Abs, Round, Floor, Ceil, Reciprocal, Relu, Sqrt, Exp, Log, Tanh,
                            Sigmoid, Softplus, Erf}) {
    int told = 0;
    for (const Range<T>& a : some_ranges<T>()) told += expect_inside<T>(f, {a}, false);
    EXPECT_GE(told, 3) << to_string(f);
  }
  for (ElementFunction f : {Add, Sub, Mul, Div, Min, Max}) {
    int told = 0;
    for (const Range<T>& a : some_ranges<T>()) {
      for (const Range<T>& b : some_ranges<T>()) told += expect_inside<T>(f, {a, b}, false);
    }
    EXPECT_GE(told, 20) << to_string(f);
  }
  for (const Range<T>& a : some_ranges<T>()) expect_inside<T>(Mul, {a, a}, true);
}

TEST_P(Ranges, HoldWhatFunctionsGive) {
  expect_all_inside<float>();
  expect_all_inside<double>();
}

TEST_P(Ranges, AreNotToldWhereNumbersMayBecomeInfinite) {
  using enum ElementFunction;
  auto told = [](ElementFunction f, std::vector<Range<float>> x, bool is_square = false) {
    return range_through<float>(f, x, is_square).has_value();
  };
  EXPECT_FALSE(told(Add, {{0, 3e38f}, {0, 3e38f}}));
  EXPECT_FALSE(told(Mul, {{-1e20f, 0}, {0, 1e20f}}));
  EXPECT_FALSE(told(Div, {{1, 1}, {0, 1}}));
  EXPECT_FALSE(told(Div, {{1e30f, 1e31f}, {1e-30f, 1}}));
  EXPECT_FALSE(told(Sqrt, {{-1e-9f, 1}}));
  EXPECT_FALSE(told(Log, {{0, 1}}));
  EXPECT_FALSE(told(Exp, {{0, 89}}));
  EXPECT_TRUE(told(Where, {{0, 0}, {-1, 1}, {5, 6}}));
  EXPECT_TRUE(
      told(Sqrt, {*range_through<float>(Mul, std::vector<Range<float>>(2, {-1, 2}), true)}));
}

}  // namespace
}  // namespace onnxrun
