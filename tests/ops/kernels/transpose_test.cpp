// Matrices transposed on every instruction set.
#include "kernels/transpose.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <numeric>
#include <vector>

namespace onnxrun {
namespace {

class Transposed : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, Transposed,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

template <typename Word>
void expect_transposed(int64_t rows, int64_t columns, int64_t extra) {
  SCOPED_TRACE(::testing::Message() << rows << " by " << columns << " and " << extra);
  const int64_t from_step = columns + extra, to_step = rows + extra;
  // Bits that are a signalling NaN, too, are moved as they are.
  std::vector<Word> from(static_cast<size_t>(rows * from_step)), to, expected;
  std::iota(from.begin(), from.end(), Word{0x7fa00000} << (sizeof(Word) == 8 ? 32 : 0));
  to.assign(static_cast<size_t>(columns * to_step), 7);
  expected = to;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      expected[static_cast<size_t>(j * to_step + i)] = from[static_cast<size_t>(i * from_step + j)];
    }
  }
  transpose(reinterpret_cast<const std::byte*>(from.data()), from_step, rows, columns, sizeof(Word),
            reinterpret_cast<std::byte*>(to.data()), to_step);
  EXPECT_EQ(to, expected);
}

TEST_P(Transposed, EveryShape) {
  for (int64_t rows : {1, 2, 3, 5, 8, 15, 16, 17, 33}) {
    for (int64_t columns : {1, 2, 3, 4, 7, 16, 31, 64}) {
      for (int64_t extra : {0, 3}) {
        expect_transposed<uint32_t>(rows, columns, extra);
        expect_transposed<uint64_t>(rows, columns, extra);
      }
    }
  }
}

}  // namespace
}  // namespace onnxrun
