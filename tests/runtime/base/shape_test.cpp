#include "base/shape.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"

namespace onnxrun {
namespace {

const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
constexpr int64_t lowest = INT64_MIN;

TEST(Dim, EqualExpressionsAreEqual) {
  EXPECT_EQ((n + m) * (n - m), n * n - m * m);
  EXPECT_EQ(floor_div(n * m * Dim(6), n * Dim(3)), m * Dim(2));
}

TEST(Dim, TextHasTheLowestNumber) {
  EXPECT_EQ((Dim(lowest) * n).to_string(), "-9223372036854775808*n");
  EXPECT_EQ((m + Dim(lowest)).to_string(), "m - 9223372036854775808");
}

// A dimension that grows with every step of arithmetic becomes unknown, and stays so.
TEST(Dim, ExpressionsAreBounded) {
  const std::pair<const char*, std::function<Dim(const Dim&, int)>> rows[] = {
      {"square", [](const Dim& d, int) { return d * d; }},
      {"square of a sum", [](const Dim& d, int) { return (d + n) * (d + m); }},
      {"double", [](const Dim& d, int) { return d + d; }},
      {"divide by itself and one", [](const Dim& d, int) { return floor_div(d * d, d + Dim(1)); }},
      {"divide", [](const Dim& d, int k) { return floor_div(d, Dim(k + 2)) + floor_div(d, n); }},
      {"largest", [](const Dim& d, int) { return max(d, d + Dim(1)) * d; }},
      {"other names", [](const Dim& d, int k) { return d + Dim::symbol("k" + std::to_string(k)); }},
      {"lowest", [](const Dim& d, int) { return d * Dim(lowest) + d; }},
  };
  for (const auto& [name, step] : rows) {
    Dim d = n;
    for (int k = 0; k < 100 && !d.is_unknown(); ++k) {
      d = step(d, k);
      ASSERT_LT(d.to_string().size(), 4000u) << name << ", step " << k;
    }
    EXPECT_TRUE(d.is_unknown()) << name << ": " << d.to_string();
  }
}

TEST(Dim, DivisionsThatOverflow) {
  EXPECT_THROW(floor_div(Dim(lowest), Dim(-1)), Error);
  EXPECT_THROW(floor_div(Dim(7), Dim(0)), Error);
  EXPECT_THROW(floor_div(n, Dim(0)), Error);
  EXPECT_EQ(floor_div(Dim(7), Dim(-1)), Dim(-7));
  // What has no negative in 64 bits stays a quotient.
  EXPECT_NO_THROW(floor_div(Dim(lowest) * n, Dim(-1) * n).to_string());
  EXPECT_NO_THROW(ceil_div(Dim(lowest) * n, Dim(-1) * n).to_string());
}

}  // namespace
}  // namespace onnxrun
