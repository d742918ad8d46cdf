// Every kernel of reductions that applies against plain sums.
#include "kernels/reduction.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "kernels/column_sums.h"
#include "kernels/double_sums.h"

namespace onnxrun {
namespace {

struct SumReducer {
  using Acc = double;
  static Acc start() { return 0; }
  static void add(Acc& a, float x) { a += static_cast<double>(x); }
  static void merge(Acc& a, Acc b) { a += b; }
  static float finish(Acc a, int64_t) { return static_cast<float>(a); }
};

struct ReductionKernelCase {
  Dims dims;
  std::vector<bool> reduced;
};

const std::vector<ReductionKernelCase> reduction_kernel_cases = {
    {{7, 9}, {false, true}},
    {{3, 5, 140}, {true, false, false}},
    {{3, 5, 140}, {false, true, false}},
    {{2, 3, 100'000}, {true, false, true}},
    {{200'000}, {true}},
    {{4, 0}, {false, true}},
    {{0, 4}, {false, true}},
    {{6}, {false}},
};

std::vector<float> floats_to_reduce(int64_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = uniform(random);
  return values;
}

// The output that each element goes into, in order.
std::vector<double> plain_sums(const ReductionKernelCase& c, const std::vector<float>& x,
                               int64_t outputs) {
  std::vector<double> y(static_cast<size_t>(outputs), 0);
  for (size_t i = 0; i < x.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t at = 0, stride = 1;
    for (size_t axis = c.dims.size(); axis-- > 0;) {
      const int64_t place = rest % c.dims[axis];
      rest /= c.dims[axis];
      if (c.reduced[axis]) continue;
      at += place * stride;
      stride *= c.dims[axis];
    }
    y[static_cast<size_t>(at)] += static_cast<double>(x[i]);
  }
  return y;
}

template <typename T>
void expect_added() {
  for (int64_t n : {0, 1, 3, 7, 8, 9, 16, 31, 128}) {
    std::vector<double> sums(static_cast<size_t>(n) + 1, 0.1), expected = sums;
    const std::vector<float> x = floats_to_reduce(n);
    const std::vector<T> row(x.begin(), x.end());
    for (size_t i = 0; i < row.size(); ++i) expected[i] += static_cast<double>(row[i]);
    add_to_sums(row.data(), n, sums.data());
    EXPECT_EQ(sums, expected) << n;
  }
}

TEST(ColumnSums, AreAddedOnEveryInstructionSet) {
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    expect_added<float>();
    expect_added<double>();
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(ReduceKernels, EveryOneThatAppliesGivesTheSums) {
  const ThreadScope threads(3);
  std::set<std::string_view> seen;
  for (const ReductionKernelCase& c : reduction_kernel_cases) {
    const ReduceLayout layout(c.dims, c.reduced);
    const std::vector<float> x = floats_to_reduce(element_count(c.dims));
    const std::vector<double> expected = plain_sums(c, x, layout.outputs());
    for (const auto& kernel : reduce_kernels<SumReducer, float>) {
      if (!kernel.applies(layout)) continue;
      if (seen.insert(kernel.name); layout.outputs() == 0 && kernel.name != "nothing") continue;
      std::vector<double> scratch(static_cast<size_t>(kernel.scratch_bytes(layout)) / 8 + 1);
      std::vector<float> y(expected.size(), -7);
      kernel.run(layout, x.data(), y.data(), reinterpret_cast<std::byte*>(scratch.data()));
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_NEAR(y[i], expected[i], 1e-4) << kernel.name << " of " << to_string(c.dims);
      }
    }
  }
  EXPECT_EQ(seen.size(), std::size(reduce_kernels<SumReducer, float>));
}

class DoubleSums : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, DoubleSums,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

template <typename T>
void expect_sums_of_rows_alone() {
  struct DoubleReducer : SumReducer {
    static void add(double& a, T x) { a += static_cast<double>(x); }
  };
  for (int64_t n : {1, 15, 16, 17, 24, 100, 2047, 2048, 2049, 5000}) {
    for (int64_t count : {1, 3, 4, 9}) {
      SCOPED_TRACE(n);
      const std::vector<float> x = floats_to_reduce(n * count);
      const std::vector<T> elements(x.begin(), x.end());
      std::vector<const T*> rows;
      for (int64_t r = 0; r < count; ++r) rows.push_back(elements.data() + r * n);
      std::vector<double> sums(rows.size(), -7);
      sums_in_double(rows.data(), count, n, sums.data());
      for (size_t r = 0; r < rows.size(); ++r) {
        EXPECT_EQ(sums[r], (reduce_row<DoubleReducer, T>(rows[r], n)));
      }
    }
  }
}

TEST_P(DoubleSums, HaveTheBitsOfRowsAlone) {
  expect_sums_of_rows_alone<float>();
  expect_sums_of_rows_alone<double>();
}

}  // namespace
}  // namespace onnxrun
