#include "sets/augment.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "sets/dataset.h"

namespace onnxrun::testing {

namespace {

// Pictures of 3 x 4 pixels with two channels, in front or at the end; fill is -1.
Augment changes(bool channels_first, int64_t shift, bool flip) {
  Tensor fill(DType::Float32, channels_first ? Dims{2, 3, 4} : Dims{3, 4, 2});
  std::fill_n(fill.data<float>(), fill.size(), -1.F);
  return {0, shift, flip, channels_first ? 1 : 0, fill};
}

float pixel(const Tensor& batch, bool channels_first, int64_t sample, int64_t c, int64_t y,
            int64_t x) {
  int64_t at = channels_first ? (c * 3 + y) * 4 + x : (y * 4 + x) * 2 + c;
  return batch.data<float>()[sample * 24 + at];
}

Tensor pictures(int64_t count) {
  Tensor t(DType::Float32, {count, 24});
  std::iota(t.data<float>(), t.data<float>() + t.size(), 0.F);
  return t;
}

// Each picture is the old one, moved by one amount for all pixels and channels, mirrored or not.
TEST(Augment, MovesAndMirrors) {
  constexpr int64_t count = 200;
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (bool channels_first : {true, false}) {
    Tensor old = pictures(count), batch = old.clone();
    augment_batch(changes(channels_first, 1, true), numbers, 5, 2, batch);
    std::set<std::tuple<int64_t, int64_t, bool>> seen;
    for (int64_t s = 0; s < count; ++s) {
      auto is = [&](int64_t down, int64_t right, bool mirrored) {
        for (int64_t i = 0; i < 24; ++i) {
          int64_t c = i / 12, y = i / 4 % 3, x = i % 4;
          int64_t from_y = y - down, from_x = x - right;
          bool inside = from_y >= 0 && from_y < 3 && from_x >= 0 && from_x < 4;
          if (mirrored) from_x = 3 - from_x;
          float expected = inside ? pixel(old, channels_first, s, c, from_y, from_x) : -1;
          if (pixel(batch, channels_first, s, c, y, x) != expected) return false;
        }
        return true;
      };
      int found = 0;
      for (int64_t k = 0; k < 18; ++k) {
        int64_t down = k % 3 - 1, right = k / 3 % 3 - 1;
        if (!is(down, right, k >= 9)) continue;
        ++found;
        seen.emplace(down, right, k >= 9);
      }
      EXPECT_EQ(found, 1) << s;
    }
    EXPECT_EQ(seen.size(), 18U);
  }
}

// Of seed, epoch and the sample's number, whatever batch it is in.
TEST(Augment, IsAFunctionOfTheSample) {
  Augment augment = changes(true, 1, true);
  Tensor together = pictures(6), alone(DType::Float32, {1, 24});
  std::vector<int64_t> numbers = {4, 9, 0, 7, 2, 1};
  augment_batch(augment, numbers, 1, 3, together);
  Tensor old = pictures(6);
  bool differs = false;
  for (size_t k = 0; k < numbers.size(); ++k) {
    std::copy_n(old.data<float>() + 24 * k, 24, alone.data<float>());
    augment_batch(augment, std::span(numbers).subspan(k, 1), 1, 3, alone);
    EXPECT_TRUE(
        std::equal(alone.data<float>(), alone.data<float>() + 24, together.data<float>() + 24 * k));
    std::copy_n(old.data<float>() + 24 * k, 24, alone.data<float>());
    augment_batch(augment, std::span(numbers).subspan(k, 1), 1, 4, alone);
    differs |=
        !std::equal(alone.data<float>(), alone.data<float>() + 24, together.data<float>() + 24 * k);
  }
  EXPECT_TRUE(differs);
}

}  // namespace

}  // namespace onnxrun::testing
