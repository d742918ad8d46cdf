#include "kernels/max_planes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/pooling.h"
#include "support/kernel_cases.h"

namespace onnxrun {
namespace {

struct Case {
  Dims input, kernel, strides, dilations, pads;
  int64_t behind = 0;  // positions of the last window beyond the padding, on every axis
};

const std::vector<Case> cases = {
    {{1}, {1}, {1}, {1}, {0}},
    {{40}, {3}, {1}, {1}, {1}},
    {{6, 6}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
    {{26, 26}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
    {{7, 67}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
    {{9, 31}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {{12, 64}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1},
    {{10, 33}, {3, 2}, {1, 1}, {2, 3}, {1, 1}},
    {{11, 50}, {2, 3}, {3, 3}, {1, 1}, {0, 0}},
    {{5, 36}, {1, 4}, {1, 4}, {1, 1}, {0, 2}},
};

Window window_of(const Case& c) {
  Window w{c.input, {}, c.kernel, c.strides, c.dilations, c.pads, c.pads};
  for (size_t i = 0; i < w.rank(); ++i) {
    const int64_t room = c.input[i] + 2 * c.pads[i] + c.behind - w.extent(i);
    w.output.push_back(room / c.strides[i] + 1);
  }
  return w;
}

// Every test runs once for each instruction set of this processor.
class MaxPlanes : public testing::EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, MaxPlanes, testing::every_target(), testing::target_name);

constexpr int64_t planes = 3;

PoolPlan plan_of(const Case& c) {
  PoolPlan plan;
  plan.walk = PlaneWalk(window_of(c));
  plan.padded = PaddedPlane::of(plan.window());
  plan.planes = planes;
  return plan;
}

// Every kernel for the largest elements gives those of the last, which always applies.
template <typename T>
void compare_largest(const PoolPlan& plan, const std::vector<T>& x) {
  ASSERT_EQ(chosen(max_kernels<T>, plan).name, "lines");
  std::vector<T> expected(static_cast<size_t>(planes * plan.window().output_size()));
  std::end(max_kernels<T>)[-1].run(plan, x.data(), expected.data(), planes);
  for (const MaxKernel<T>& kernel : max_kernels<T>) {
    if (!kernel.applies(plan)) continue;
    std::vector<T> actual(expected.size());
    kernel.run(plan, x.data(), actual.data(), planes);
    for (size_t i = 0; i < expected.size(); ++i) {
      const bool both_nan = expected[i] != expected[i] && actual[i] != actual[i];
      ASSERT_TRUE(both_nan || actual[i] == expected[i]) << kernel.name << " " << i;
    }
  }
}

template <typename T>
void compare(const Case& c) {
  const PoolPlan plan = plan_of(c);
  const int64_t in = plan.window().input_size(), out = plan.window().output_size();
  // Exactly as long as it is: a sanitizer sees what is read behind.
  std::vector<T> x(static_cast<size_t>(planes * in));
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (T& v : x) v = static_cast<T>(uniform(random));
  x[x.size() / 2] = std::numeric_limits<T>::quiet_NaN();
  x[x.size() / 3] = -std::numeric_limits<T>::infinity();
  compare_largest(plan, x);
  ASSERT_EQ(chosen(place_kernels<T>, plan).name, "lines");
  for (int64_t p = 0; p < planes; ++p) {
    std::vector<Place<T>> walked(static_cast<size_t>(out)), places(walked.size());
    walk_places(plan.walk, x.data() + p * in, walked.data());
    for (const PlaceKernel<T>& kernel : place_kernels<T>) {
      kernel.run(plan, x.data() + p * in, places.data());
      ASSERT_EQ(places, walked) << kernel.name;
    }
  }
}

TEST_P(MaxPlanes, AsElementByElement) {
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare<float>(cases[i]);
    compare<double>(cases[i]);
  }
}

template <typename T>
void compare_bytes(const Case& c) {
  const PoolPlan plan = plan_of(c);
  std::vector<T> x(static_cast<size_t>(planes * plan.window().input_size()));
  std::mt19937 random(1);
  for (T& v : x) v = static_cast<T>(random());
  compare_largest(plan, x);
}

TEST_P(MaxPlanes, OfBytes) {
  std::vector<Case> all = cases;
  all.push_back({{17, 150}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    compare_bytes<int8_t>(all[i]);
    compare_bytes<uint8_t>(all[i]);
  }
}

TEST(PaddedPlane, HugeWindowsAreNoReasonForHugeMemory) {
  const int64_t huge = int64_t{1} << 30;
  EXPECT_FALSE(PaddedPlane::of({{2}, {1}, {2}, {1}, {huge}, {huge}, {huge}}));
  EXPECT_FALSE(PaddedPlane::of({{2, 2}, {1, 1}, {2, 2}, {1, 1}, {huge, huge}, {huge, huge}, {}}));
}

}  // namespace
}  // namespace onnxrun
