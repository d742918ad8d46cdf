#include "latencies.h"

#include <gtest/gtest.h>

#include <vector>

namespace onnxrun::tool {
namespace {

Latencies of(const std::vector<double>& times) {
  Latencies l;
  for (double t : times) l.add(t);
  return l;
}

// As numpy.percentile has them.
TEST(Latencies, Percentiles) {
  Latencies l = of({4, 1, 3, 2});
  EXPECT_EQ(l.percentile(0), 1);
  EXPECT_EQ(l.percentile(50), 2.5);
  EXPECT_DOUBLE_EQ(l.percentile(90), 3.7);
  EXPECT_EQ(l.percentile(100), 4);
  EXPECT_EQ(l.min(), 1);
  EXPECT_EQ(l.max(), 4);
  EXPECT_EQ(l.mean(), 2.5);
  EXPECT_EQ(Latencies().percentile(50), 0);
}

TEST(Latencies, MillionsAreThinnedEvenly) {
  Latencies l;
  constexpr int64_t n = 5'000'000;
  for (int64_t i = 0; i < n; ++i) l.add(static_cast<double>(i));
  EXPECT_EQ(l.count(), n);
  EXPECT_EQ(l.max(), n - 1);
  EXPECT_EQ(l.mean(), (n - 1) / 2.0);
  EXPECT_NEAR(l.percentile(50), n / 2.0, 1e-3 * n);
  EXPECT_NEAR(l.percentile(99), 0.99 * n, 1e-3 * n);
}

TEST(Latencies, Stability) {
  std::vector<double> even(100, 1), tail = even, drift = even;
  for (size_t i = 0; i < 100; i += 5) tail[i] = 2;
  for (size_t i = 50; i < 100; ++i) drift[i] = 1.2;
  EXPECT_TRUE(of(even).is_stable());
  EXPECT_FALSE(of(tail).is_stable());
  EXPECT_FALSE(of(drift).is_stable());
  EXPECT_TRUE(of({1, 5}).is_stable());  // too few to say
}

TEST(Latencies, OfSeveralCallers) {
  Latencies l = of({1, 2});
  l.add(of({}));
  l.add(of({0.5, 9}));
  EXPECT_EQ(l.count(), 4);
  EXPECT_EQ(l.min(), 0.5);
  EXPECT_EQ(l.max(), 9);
  EXPECT_EQ(l.percentile(50), 1.5);
}

}  // namespace
}  // namespace onnxrun::tool
