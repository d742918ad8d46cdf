#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace onnxrun::testing {
namespace {

TEST(NumpyRandom, IsNumpysLegacyGenerator) {
  // numpy.random.seed(s); numpy.random.random_sample(3)
  struct Row {
    uint32_t seed;
    double values[3];
  };
  for (const Row& row :
       {Row{0u, {0.5488135039273248, 0.7151893663724195, 0.6027633760716439}},
        Row{1u, {0.417022004702574, 0.7203244934421581, 0.00011437481734488664}},
        Row{42u, {0.3745401188473625, 0.9507143064099162, 0.7319939418114051}},
        Row{4294967295u, {0.0976320289940138, 0.9123828453026218, 0.78903530185164}}}) {
    NumpyRandom random(row.seed);
    for (double expected : row.values) EXPECT_EQ(random.uniform(), expected) << row.seed;
  }
  NumpyRandom random(1);
  EXPECT_EQ(random.uniform(-2, 3), -2 + 5 * 0.417022004702574);
}

TEST(Philox, GivesTheAnswersOfItsAuthors) {
  // kat_vectors of Random123, philox4x32 with 10 rounds.
  using Block = Philox::Block;
  EXPECT_EQ(Philox::block({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t f = 0xffffffff;
  EXPECT_EQ(Philox::block({f, f, f, f}, {f, f}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      Philox::block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, IndexStreamAndSeedDecide) {
  Philox a(1, 2);
  EXPECT_EQ(a.u64(5), Philox(1, 2).u64(5));
  EXPECT_NE(a.u64(5), a.u64(6));
  EXPECT_NE(a.u64(5), Philox(1, 3).u64(5));
  EXPECT_NE(a.u64(5), Philox(2, 2).u64(5));
  EXPECT_NE(a.u64(5), a.u64(5 + (uint64_t{1} << 32)));
}

TEST(Philox, DistributionsHaveTheirMoments) {
  constexpr int n = 100000;
  Philox random(3);
  double sum = 0, sum_float = 0, normal = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    double u = random.uniform(i), z = random.normal(i);
    float f = random.uniform_float(i);
    ASSERT_TRUE(u >= 0 && u < 1 && f >= 0 && f < 1 && std::isfinite(z));
    sum += u;
    sum_float += f;
    normal += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);
  EXPECT_NEAR(sum_float / n, 0.5, 0.005);
  EXPECT_NEAR(normal / n, 0, 0.015);
  EXPECT_NEAR(squares / n, 1, 0.02);
}

TEST(Philox, BelowStaysBelowAndReachesAll) {
  Philox random(4);
  std::vector<int> counts(7);
  for (uint64_t i = 0; i < 7000; ++i) ++counts[random.below(i, 7)];
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(random.below(0, 1), 0u);
  uint64_t huge = (uint64_t{1} << 63) + 1;  // rejects almost every second draw
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_LT(random.below(i, huge), huge);
}

TEST(Philox, ShuffleIsAPermutationThatNeverChanges) {
  std::vector<int> values(8);
  std::iota(values.begin(), values.end(), 0);
  shuffle(std::span(values), Philox(0));
  EXPECT_EQ(values, (std::vector<int>{4, 2, 6, 1, 3, 7, 5, 0}));
  shuffle(std::span<int>(), Philox(0));
}

}  // namespace
}  // namespace onnxrun::testing
