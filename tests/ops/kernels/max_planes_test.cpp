#include "kernels/max_planes.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/max_gradient.h"
#include "kernels/pooling.h"

namespace onnxrun {
namespace {

struct MaxPlanesCase {
  Dims input, kernel, strides, dilations, pads;
  int64_t behind = 0;  // positions of the last window beyond the padding, on every axis
};

const std::vector<MaxPlanesCase> max_planes_cases = {
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

Window window_of(const MaxPlanesCase& c) {
  Window w{c.input, {}, c.kernel, c.strides, c.dilations, c.pads, c.pads};
  for (size_t i = 0; i < w.rank(); ++i) {
    const int64_t room = c.input[i] + 2 * c.pads[i] + c.behind - w.extent(i);
    w.output.push_back(room / c.strides[i] + 1);
  }
  return w;
}

// Every test runs once for each instruction set of this processor.
class MaxPlanes : public ::testing::TestWithParam<int64_t> {
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
INSTANTIATE_TEST_SUITE_P(Targets, MaxPlanes,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

constexpr int64_t planes = 3;

PoolPlan plan_of(const MaxPlanesCase& c) {
  PoolPlan plan;
  plan.walk = PlaneWalk(window_of(c));
  plan.padded = PaddedPlane::of(plan.window());
  plan.planes = planes;
  return plan;
}

// Random elements of all planes, exactly as many as there are: a sanitizer sees what is read
// behind.
template <typename T>
std::vector<T> elements_of(const PoolPlan& plan) {
  std::vector<T> x(static_cast<size_t>(planes * plan.window().input_size()));
  std::mt19937 random(1);
  if constexpr (std::is_floating_point_v<T>) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (T& v : x) v = static_cast<T>(uniform(random));
    x[x.size() / 2] = std::numeric_limits<T>::quiet_NaN();
    x[x.size() / 3] = -std::numeric_limits<T>::infinity();
  } else {
    for (T& v : x) v = static_cast<T>(random());
  }
  return x;
}

template <typename T>
void expect_same(const std::vector<T>& actual, const std::vector<T>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const bool both_nan = actual[i] != actual[i] && expected[i] != expected[i];
    ASSERT_TRUE(both_nan || actual[i] == expected[i])
        << "element " << i << ": " << +actual[i] << ", expected " << +expected[i];
  }
}

// Every kernel that applies, two at least, gives what the last does, element by element.
template <typename List, typename F>
void compare_kernels(const List& kernels, const PoolPlan& plan, const F& result) {
  const auto expected = result(*std::rbegin(kernels));
  int compared = 0;
  for (const auto& kernel : kernels) {
    if (!kernel.applies(plan)) continue;
    SCOPED_TRACE(kernel.name);
    expect_same(result(kernel), expected);
    ++compared;
  }
  ASSERT_GT(compared, 1);
}

template <typename T>
void compare(const MaxPlanesCase& c) {
  const PoolPlan plan = plan_of(c);
  const std::vector<T> x = elements_of<T>(plan);
  compare_kernels(max_kernels<T>, plan, [&](const MaxKernel<T>& kernel) {
    std::vector<T> y(static_cast<size_t>(planes * plan.window().output_size()));
    kernel.run(plan, x.data(), y.data(), planes);
    return y;
  });
}

template <typename T>
void compare_places(const MaxPlanesCase& c) {
  const PoolPlan plan = plan_of(c);
  const std::vector<T> x = elements_of<T>(plan);
  const int64_t in = plan.window().input_size(), out = plan.window().output_size();
  compare_kernels(place_kernels<T>, plan, [&](const PlaceKernel<T>& kernel) {
    std::vector<Place<T>> at(static_cast<size_t>(planes * out));
    for (int64_t p = 0; p < planes; ++p) kernel.run(plan, x.data() + p * in, at.data() + p * out);
    return at;
  });
}

TEST_P(MaxPlanes, AsElementByElement) {
  for (size_t i = 0; i < max_planes_cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare<float>(max_planes_cases[i]);
    compare<double>(max_planes_cases[i]);
    compare_places<float>(max_planes_cases[i]);
    compare_places<double>(max_planes_cases[i]);
  }
}

TEST_P(MaxPlanes, OfBytes) {
  std::vector<MaxPlanesCase> all = max_planes_cases;
  all.push_back({{17, 150}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    compare<int8_t>(all[i]);
    compare<uint8_t>(all[i]);
  }
}

// What the kernel gives is as many elements as x has, whatever lay there before.
template <typename T>
std::vector<T> gradient_of(const PoolPlan& plan, const MaxGradientKernel<T>& kernel,
                           const std::vector<T>& x, bool rectified) {
  std::vector<T> dy(static_cast<size_t>(planes * plan.window().output_size())), dx(x.size(), T(9));
  for (size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<T>(i % 7) - 3;
  dy[dy.size() / 2] = T(-0.0);
  kernel.run(plan, {dy.data(), x.data(), dx.data(), planes, rectified});
  return dx;
}

template <typename T>
void compare_gradients(const MaxPlanesCase& c) {
  const PoolPlan plan = plan_of(c);
  std::vector<T> x = elements_of<T>(plan);
  // Equals, and windows of nothing but the lowest.
  for (size_t i = 0; i + 1 < x.size(); i += 3) x[i + 1] = x[i];
  std::fill_n(x.begin(), x.size() / 4, -std::numeric_limits<T>::infinity());
  const auto& kernels = max_gradient_kernels<T>;
  ASSERT_TRUE(kernels[0].applies(plan));
  for (bool rectified : {false, true}) {
    const std::vector<T> dx = gradient_of(plan, kernels[0], x, rectified);
    const std::vector<T> expected = gradient_of(plan, kernels[1], x, rectified);
    // Signs of zeros, too.
    for (size_t i = 0; i < dx.size(); ++i) {
      ASSERT_TRUE(dx[i] == expected[i] && std::signbit(dx[i]) == std::signbit(expected[i]))
          << "element " << i << ": " << dx[i] << ", expected " << expected[i];
    }
  }
}

TEST_P(MaxPlanes, GradientsOfPairsHaveTheBitsOfPlaces) {
  const std::vector<MaxPlanesCase> pairs = {
      {{2}, {2}, {2}, {1}, {0}},
      {{71}, {2}, {2}, {1}, {0}},
      {{6, 6}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
      {{11, 11}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
      {{26, 26}, {2, 2}, {2, 2}, {1, 1}, {0, 0}},
      {{7, 67}, {3, 2}, {3, 2}, {1, 1}, {0, 0}},
      {{5, 64}, {1, 2}, {1, 2}, {1, 1}, {0, 0}},
  };
  for (size_t i = 0; i < pairs.size(); ++i) {
    SCOPED_TRACE(i);
    compare_gradients<float>(pairs[i]);
    compare_gradients<double>(pairs[i]);
  }
}

TEST(MaxPlanes, PairsLieApartInAPlane) {
  const std::vector<MaxPlanesCase> others = {
      {{6, 6}, {2, 2}, {2, 1}, {1, 1}, {0, 0}},   {{6, 6}, {2, 2}, {1, 2}, {1, 1}, {0, 0}},
      {{6, 6}, {2, 2}, {2, 2}, {1, 1}, {1, 0}},   {{6, 9}, {2, 3}, {2, 3}, {1, 1}, {0, 0}},
      {{6, 6}, {2, 2}, {2, 2}, {1, 2}, {0, 0}},   {{9, 6}, {2, 2}, {2, 2}, {2, 1}, {0, 0}},
      {{7, 7}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, 1}};
  for (const MaxPlanesCase& c : others)
    EXPECT_FALSE(is_of_pairs(plan_of(c))) << to_string(c.kernel);
}

TEST(PaddedPlane, HugeWindowsAreNoReasonForHugeMemory) {
  const int64_t huge = int64_t{1} << 30;
  EXPECT_FALSE(PaddedPlane::of({{2}, {1}, {2}, {1}, {huge}, {huge}, {huge}}));
  EXPECT_FALSE(PaddedPlane::of({{2, 2}, {1, 1}, {2, 2}, {1, 1}, {huge, huge}, {huge, huge}, {}}));
}

}  // namespace
}  // namespace onnxrun
