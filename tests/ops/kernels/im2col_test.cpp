#include "kernels/im2col.h"

#include <gtest/gtest.h>

#include <vector>

namespace onnxrun {
namespace {

struct Case {
  Dims input, kernel, strides, dilations, pads, pads_end;
};

Window window_of(const Case& c) {
  Window w{c.input, {}, c.kernel, c.strides, c.dilations, c.pads, c.pads_end};
  for (size_t i = 0; i < c.input.size(); ++i) {
    w.output.push_back((c.input[i] + c.pads[i] + c.pads_end[i] - w.extent(i)) / c.strides[i] + 1);
  }
  return w;
}

std::vector<Case> cases() {
  return {
      {{7}, {3}, {1}, {1}, {0}, {0}},
      {{7}, {3}, {2}, {2}, {3}, {1}},
      {{2}, {2}, {1}, {1}, {4}, {5}},
      {{0}, {2}, {1}, {1}, {1}, {1}},
      {{5, 6}, {3, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 0}},
      {{5, 6}, {3, 2}, {2, 3}, {1, 2}, {2, 0}, {1, 3}},
      {{8, 9}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
      {{4, 5, 6}, {2, 3, 2}, {1, 2, 1}, {2, 1, 1}, {1, 1, 0}, {0, 1, 2}},
      {{2, 3, 2, 3}, {2, 1, 2, 2}, {1, 1, 1, 2}, {1, 1, 1, 1}, {0, 1, 1, 0}, {1, 0, 0, 1}},
  };
}

// The element of one channel that window `o` reads at kernel element `t`; -1 for padding.
int64_t input_index(const Window& w, int64_t o, int64_t t) {
  int64_t index = 0, step = 1;
  for (size_t i = w.rank(); i-- > 0;) {
    int64_t position =
        o % w.output[i] * w.strides[i] - w.pads[i] + t % w.kernel[i] * w.dilations[i];
    if (position < 0 || position >= w.input[i]) return -1;
    index += position * step;
    step *= w.input[i];
    o /= w.output[i];
    t /= w.kernel[i];
  }
  return index;
}

TEST(Im2col, CopiesWhatWindowsRead) {
  constexpr int64_t channels = 3;
  size_t row = 0;
  for (const Case& c : cases()) {
    SCOPED_TRACE(row++);
    Window w = window_of(c);
    int64_t in = w.input_size(), rows = channels * w.kernel_size();
    std::vector<double> x(static_cast<size_t>(channels * in));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i) + 1;
    for (auto [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
             {0, w.output_size()}, {0, 1}, {w.output_size() / 3, w.output_size()}, {1, 1}}) {
      int64_t count = end - begin;
      std::vector<double> columns(static_cast<size_t>(rows * count)), sums(x.size()),
          expected_sums(x.size());
      im2col(w, channels, x.data(), begin, end, -7.0, columns.data());
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = begin; o < end; ++o) {
          int64_t i = input_index(w, o, r % w.kernel_size());
          int64_t at = r / w.kernel_size() * in + i;
          double expected = i < 0 ? -7.0 : x[static_cast<size_t>(at)];
          ASSERT_EQ(columns[static_cast<size_t>(r * count + o - begin)], expected)
              << "row " << r << " window " << o;
          if (i >= 0) expected_sums[static_cast<size_t>(at)] += expected;
        }
      }
      col2im(w, channels, columns.data(), begin, end, sums.data());
      EXPECT_EQ(sums, expected_sums);
    }
  }
}

}  // namespace
}  // namespace onnxrun
