#include "kernels/max_planes.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

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

template <typename T>
void compare(const MaxPlanesCase& c) {
  constexpr int64_t planes = 3;
  const PlaneWalk walk(window_of(c));
  const auto padded = PaddedPlane::of(walk.window());
  ASSERT_TRUE(padded);
  const int64_t in = walk.window().input_size(), out = walk.window().output_size();
  // Exactly as long as it is: a sanitizer sees what is read behind.
  std::vector<T> x(static_cast<size_t>(planes * in));
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (T& v : x) v = static_cast<T>(uniform(random));
  x[x.size() / 2] = std::numeric_limits<T>::quiet_NaN();
  x[x.size() / 3] = -std::numeric_limits<T>::infinity();
  std::vector<T> expected(static_cast<size_t>(planes * out)), actual(expected.size());
  for (int64_t p = 0; p < planes; ++p)
    max_plane(walk, x.data() + p * in, expected.data() + p * out);
  max_planes(*padded, x.data(), actual.data(), planes);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(actual[i])) << i;
    } else {
      ASSERT_EQ(actual[i], expected[i]) << i;
    }
  }
  std::vector<Place<T>> walked(expected.size()), places(expected.size());
  for (int64_t p = 0; p < planes; ++p)
    walk_places(walk, x.data() + p * in, walked.data() + p * out);
  max_places(*padded, x.data(), places.data(), planes);
  ASSERT_EQ(places, walked);
}

TEST_P(MaxPlanes, AsElementByElement) {
  for (size_t i = 0; i < max_planes_cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare<float>(max_planes_cases[i]);
    compare<double>(max_planes_cases[i]);
  }
}

template <typename T>
void compare_bytes(const MaxPlanesCase& c) {
  constexpr int64_t planes = 3;
  const PlaneWalk walk(window_of(c));
  const auto padded = PaddedPlane::of(walk.window());
  ASSERT_TRUE(padded);
  const int64_t in = walk.window().input_size(), out = walk.window().output_size();
  std::vector<T> x(static_cast<size_t>(planes * in));
  std::mt19937 random(1);
  for (T& v : x) v = static_cast<T>(random());
  std::vector<T> expected(static_cast<size_t>(planes * out)), actual(expected.size());
  for (int64_t p = 0; p < planes; ++p)
    max_plane(walk, x.data() + p * in, expected.data() + p * out);
  max_planes(*padded, x.data(), actual.data(), planes);
  ASSERT_EQ(actual, expected);
}

TEST_P(MaxPlanes, OfBytes) {
  std::vector<MaxPlanesCase> all = max_planes_cases;
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
