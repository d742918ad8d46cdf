#include "kernels/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/dtype.h"

namespace onnxrun {
namespace {

struct Case {
  int64_t outer, n, inner;
};

const Case cases[] = {{1, 0, 1},      {3, 0, 2},      {0, 5, 1},       {2, 3, 0},
                      {1, 1, 1},      {5, 7, 1},      {4, 16, 1},      {3, 33, 1},
                      {2, 1000, 1},   {1, 300001, 1}, {7, 5, 3},       {2, 100, 129},
                      {3, 2000, 1},   {1, 70000, 5},  {200, 17, 300},  {2, 5000, 40},
                      {1, 131072, 1}, {1, 131073, 1}, {1, 40000, 200}, {3000, 8, 1}};

std::vector<float> random_floats(int64_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> distribution(0.5, 1.5);
  std::vector<float> x(static_cast<size_t>(count));
  for (float& v : x) v = distribution(generator);
  return x;
}

template <typename F>
void for_each_output(const Case& c, const std::vector<float>& x, const F& check) {
  for (int64_t o = 0; o < c.outer; ++o) {
    for (int64_t i = 0; i < c.inner; ++i) {
      std::vector<double> elements;
      for (int64_t r = 0; r < c.n; ++r)
        elements.push_back(x[static_cast<size_t>((o * c.n + r) * c.inner + i)]);
      check(static_cast<size_t>(o * c.inner + i), elements);
    }
  }
}

TEST(Reduce, AgainstDouble) {
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message() << c.outer << " " << c.n << " " << c.inner);
    std::vector<float> x = random_floats(c.outer * c.n * c.inner);
    std::vector<float> sum(static_cast<size_t>(c.outer * c.inner)), squares = sum, max = sum,
                                                                    min = sum;
    reduce<SumOf>(x.data(), c.outer, c.n, c.inner, sum.data());
    reduce<SumOfSquares>(x.data(), c.outer, c.n, c.inner, squares.data());
    reduce<MaximumOf>(x.data(), c.outer, c.n, c.inner, max.data());
    reduce<MinimumOf>(x.data(), c.outer, c.n, c.inner, min.data());
    for_each_output(c, x, [&](size_t at, const std::vector<double>& elements) {
      double s = 0, q = 0, high = -HUGE_VAL, low = HUGE_VAL;
      for (double v : elements) {
        s += v;
        q += v * v;
        high = std::max(high, v);
        low = std::min(low, v);
      }
      ASSERT_NEAR(sum[at], s, 2e-6 * s) << at;
      ASSERT_NEAR(squares[at], q, 2e-6 * q) << at;
      ASSERT_EQ(max[at], high) << at;
      ASSERT_EQ(min[at], low) << at;
    });
  }
}

TEST(Reduce, DoesNotDependOnThreads) {
  for (const Case& c : cases) {
    std::vector<float> x = random_floats(c.outer * c.n * c.inner);
    std::vector<float> one(static_cast<size_t>(c.outer * c.inner)), four = one;
    reduce<SumOf>(x.data(), c.outer, c.n, c.inner, one.data());
    ThreadScope scope(4);
    reduce<SumOf>(x.data(), c.outer, c.n, c.inner, four.data());
    EXPECT_EQ(one, four) << c.outer << " " << c.n << " " << c.inner;
  }
}

TEST(Reduce, IntegersWrapAround) {
  std::vector<int8_t> x = {127, 127, 3, -128};
  int8_t out = 0;
  reduce<SumOf>(x.data(), 1, 4, 1, &out);
  EXPECT_EQ(out, static_cast<int8_t>(129));
  reduce<SumOfMagnitudes>(x.data() + 3, 1, 1, 1, &out);
  EXPECT_EQ(out, -128);
  int64_t wide = 0;
  reduce<SumOfSquares>(x.data(), 1, 4, 1, &wide);
  EXPECT_EQ(wide, 2 * 127 * 127 + 9 + 128 * 128);
  uint16_t product = 0;
  std::vector<uint16_t> y = {65535, 65535};
  reduce<ProductOf>(y.data(), 1, 2, 1, &product);
  EXPECT_EQ(product, 1);
}

TEST(Reduce, NothingAndNan) {
  float out = 0;
  reduce<MaximumOf>(static_cast<const float*>(nullptr), 1, 0, 1, &out);
  EXPECT_EQ(out, -std::numeric_limits<float>::infinity());
  int32_t low = 0;
  reduce<MinimumOf>(static_cast<const int32_t*>(nullptr), 1, 0, 1, &low);
  EXPECT_EQ(low, std::numeric_limits<int32_t>::max());
  reduce<ProductOf>(static_cast<const float*>(nullptr), 1, 0, 1, &out);
  EXPECT_EQ(out, 1);
  for (size_t at : {0u, 5u, 39u}) {
    std::vector<float> x(40, 1);
    x[at] = std::numeric_limits<float>::quiet_NaN();
    for (int64_t inner : {1, 40}) {
      std::vector<float> results(static_cast<size_t>(inner));
      reduce<MaximumOf>(x.data(), 1, 40 / inner, inner, results.data());
      EXPECT_TRUE(std::isnan(results[inner == 1 ? 0 : at]));
      reduce<MinimumOf>(x.data(), 1, 40 / inner, inner, results.data());
      EXPECT_TRUE(std::isnan(results[inner == 1 ? 0 : at]));
    }
  }
}

TEST(Reduce, HalfAccumulatesInFloat) {
  std::vector<float16> x(3000, float16(1.0f));
  float sum = 0;
  reduce<SumOf>(x.data(), 1, 3000, 1, &sum);
  EXPECT_EQ(sum, 3000);
  EXPECT_EQ((reduce_row<SumOf, double>(x.data(), 7)), 7);
}

}  // namespace
}  // namespace onnxrun
