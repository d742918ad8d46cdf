// Products of bytes on every instruction set against plain loops.
#include "kernels/byte_products.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/threads.h"
#include "kernels/byte_sums.h"

namespace onnxrun {
namespace {

class ByteProducts : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, ByteProducts,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

using ByteList = std::vector<uint8_t>;

// Extreme bytes are frequent: sums of their products are what narrow accumulators cannot hold.
ByteList random_list(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  ByteList v(static_cast<size_t>(count));
  for (uint8_t& x : v) {
    const auto draw = static_cast<unsigned>(generator());
    x = static_cast<uint8_t>(draw % 3 == 0   ? 0xff
                             : draw % 3 == 1 ? 0x80 - draw / 3 % 2
                                             : draw >> 8);
  }
  return v;
}

int64_t value_of(uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<int8_t>(byte) : byte;
}

struct ByteProductsCase {
  int64_t m, n, k;
  bool signed_a = false, signed_b = true;
  bool many_zeros = false;
};

std::ostream& operator<<(std::ostream& out, const ByteProductsCase& c) {
  return out << "m " << c.m << " n " << c.n << " k " << c.k << (c.signed_a ? " s8" : " u8")
             << (c.signed_b ? " s8" : " u8") << (c.many_zeros ? " zero points of all" : "");
}

struct ProductOperands {
  ByteList a, b, zero_a, zero_b;

  explicit ProductOperands(const ByteProductsCase& c)
      : a(random_list(c.m * c.k, 1)),
        b(random_list(c.k * c.n, 2)),
        zero_a(random_list(c.many_zeros ? c.m : 1, 3)),
        zero_b(random_list(c.many_zeros ? c.n : 1, 4)) {}

  std::vector<int32_t> expected(const ByteProductsCase& c) const {
    std::vector<int32_t> y;
    for (int64_t i = 0; i < c.m; ++i) {
      const int64_t za = value_of(zero_a[static_cast<size_t>(c.many_zeros ? i : 0)], c.signed_a);
      for (int64_t j = 0; j < c.n; ++j) {
        const int64_t zb = value_of(zero_b[static_cast<size_t>(c.many_zeros ? j : 0)], c.signed_b);
        int64_t sum = 0;
        for (int64_t p = 0; p < c.k; ++p) {
          sum += (value_of(a[static_cast<size_t>(i * c.k + p)], c.signed_a) - za) *
                 (value_of(b[static_cast<size_t>(p * c.n + j)], c.signed_b) - zb);
        }
        y.push_back(static_cast<int32_t>(sum));
      }
    }
    return y;
  }

  std::vector<int32_t> product(const ByteProductsCase& c, Dots dots) const {
    std::vector<int32_t> y(static_cast<size_t>(c.m * c.n), -7);
    std::vector<int32_t> memory(static_cast<size_t>(right_matrix_words(dots, c.k, c.n)));
    const RightMatrix right =
        pack_right_matrix(dots, {b.data(), c.signed_b}, c.n, c.k, c.n, memory.data());
    const ZeroPoints za(zero_a.data(), static_cast<int64_t>(zero_a.size()), c.signed_a,
                        signed_shift(c.signed_a));
    const ZeroPoints zb(zero_b.data(), static_cast<int64_t>(zero_b.size()), c.signed_b,
                        unsigned_shift(c.signed_b));
    multiply_bytes({a.data(), c.signed_a}, c.m, za, right, zb,
                   [&](int64_t row, int64_t column, int64_t columns, const int32_t* sums,
                       const SumCorrection& correction) {
                     correct_sums(correction, sums, columns, y.data() + row * c.n + column);
                   });
    return y;
  }
};

TEST_P(ByteProducts, AreExact) {
  std::vector<ByteProductsCase> cases;
  for (int64_t m : {1, 2, 3, 5, 8, 9, 67}) {
    for (int64_t n : {1, 7, 16, 33, 64, 100, 130}) {
      for (int64_t k : {0, 1, 3, 4, 6, 31, 65}) {
        const bool odd = (m + n + k) % 2 == 1;
        cases.push_back({m, n, k, (m + k) % 2 == 1, odd, n % 3 == 1});
      }
    }
  }
  for (bool signed_a : {false, true}) {
    for (bool signed_b : {false, true}) cases.push_back({5, 40, 1027, signed_a, signed_b, true});
  }
  for (Dots dots : {Dots::Pairs, Dots::Quads}) {
    if (!has_dots(dots)) continue;
    for (const ByteProductsCase& c : cases) {
      const ProductOperands x(c);
      ASSERT_EQ(x.product(c, dots), x.expected(c)) << c << " terms " << static_cast<int>(dots);
    }
  }
}

TEST_P(ByteProducts, AreTheSameOnThreads) {
  const ByteProductsCase c{150, 300, 200, false, true, true};
  const ProductOperands x(c);
  const ThreadScope threads(4);
  EXPECT_EQ(x.product(c, fastest_dots()), x.expected(c));
}

TEST_P(ByteProducts, Requantize) {
  const std::vector<int32_t> sums = {0,   1,  -1,  3,   5,    -5,        100,       -100,
                                     254, 9,  511, -77, 1000, INT32_MAX, INT32_MIN, 2,
                                     7,   -3, 11,  13,  250,  -250,      12345};
  const auto n = static_cast<int64_t>(sums.size());
  std::vector<float> factors;
  for (int64_t j = 0; j < n; ++j) factors.push_back(0.25F * static_cast<float>(j + 1));
  for (bool is_signed : {false, true}) {
    for (bool by_column : {false, true}) {
      const float* list = by_column ? factors.data() : nullptr;
      const Requantization r{0.5F, list, 0, is_signed ? -3 : 3, is_signed};
      ByteList y(sums.size() + 1, 0x55);
      requantize(r, {}, sums.data(), n, y.data());
      for (size_t j = 0; j < sums.size(); ++j) {
        const float factor = list ? list[j] : 0.5F;
        const float level = std::nearbyint(static_cast<float>(sums[j]) * factor) + r.zero_point;
        const float low = is_signed ? -128 : 0;
        EXPECT_EQ(value_of(y[j], is_signed), std::min(std::max(level, low), low + 255)) << sums[j];
      }
      EXPECT_EQ(y.back(), 0x55);
    }
  }
}

TEST_P(ByteProducts, BiasSaturates) {
  const std::vector<int32_t> sums = {INT32_MAX - 2, 5, INT32_MIN + 2, -5, 0};
  const auto levels = [&](int32_t bias) {
    ByteList y(sums.size());
    requantize({.factor = 0x1p-25F, .bias = bias, .is_signed = true}, {}, sums.data(), 5, y.data());
    return y;
  };
  EXPECT_EQ(levels(INT32_MAX), (ByteList{64, 64, 0, 64, 64}));
  EXPECT_EQ(levels(INT32_MIN), (ByteList{0, 0xc0, 0xc0, 0xc0, 0xc0}));
}

}  // namespace
}  // namespace onnxrun
