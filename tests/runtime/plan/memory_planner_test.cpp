// Placing buffers in the arena: no two that live at the same time overlap.
#include <gtest/gtest.h>

#include <chrono>

#include "base/random.h"
#include "plan/plan.h"

namespace onnxrun {
namespace {

std::vector<Buffer> random_buffers(size_t count, int longest_life) {
  Philox random(1, 2);
  uint64_t at = 0;
  auto below = [&](int n) { return static_cast<int>(random.uniform(at++) * n); };
  std::vector<Buffer> buffers(count);
  for (size_t i = 0; i < count; ++i) {
    buffers[i].kind = i % 17 == 0 ? Buffer::Kind::Input : Buffer::Kind::Arena;
    buffers[i].bytes = 1 + below(5000);
    buffers[i].first = static_cast<int>(i);
    buffers[i].last = static_cast<int>(i) + below(longest_life);
  }
  return buffers;
}

void expect_apart(const std::vector<Buffer>& buffers, int64_t total, int longest_life) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& a = buffers[i];
    if (a.kind != Buffer::Kind::Arena) continue;
    ASSERT_EQ(a.offset % 64, 0);
    ASSERT_LE(a.offset + a.bytes, total);
    size_t end = std::min(buffers.size(), i + static_cast<size_t>(longest_life) + 1);
    for (size_t k = i + 1; k < end; ++k) {
      const Buffer& b = buffers[k];
      if (b.kind != Buffer::Kind::Arena || b.first > a.last) continue;
      ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
          << i << " and " << k;
    }
  }
}

TEST(MemoryPlanner, KeepsBuffersApart) {
  for (size_t count : {10, 1000, 20'000}) {
    for (int longest_life : {1, 3, 40}) {
      std::vector<Buffer> buffers = random_buffers(count, longest_life);
      int64_t total = place_buffers(buffers);
      expect_apart(buffers, total, longest_life);
      EXPECT_LE(total, 5056 * (longest_life + 1)) << count << ", " << longest_life;
    }
  }
}

// Buffers of a step of training live until its other half.
TEST(MemoryPlanner, ManyBuffersTakeNoQuadraticTime) {
  constexpr int count = 200'000;
  std::vector<Buffer> buffers(count);
  for (int i = 0; i < count; ++i) {
    buffers[static_cast<size_t>(i)].kind = Buffer::Kind::Arena;
    buffers[static_cast<size_t>(i)].bytes = 64;
    buffers[static_cast<size_t>(i)].first = i;
    buffers[static_cast<size_t>(i)].last = 2 * count - i;
  }
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(place_buffers(buffers), int64_t{64} * count);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace onnxrun
