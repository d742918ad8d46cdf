// The lengths of a convolution.
#pragma once

#include <algorithm>

#include "kernels/window.h"

namespace onnxrun {

// x: [batch, groups * in_channels, window.input], w: [groups * out_channels, in_channels,
// window.kernel], y: [batch, groups * out_channels, window.output].
struct ConvShape {
  Window window;
  int64_t batch = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group

  int64_t weight_rows() const { return in_channels * window.kernel_size(); }

  // Where a group's part of an image, and of the weights, begins.
  int64_t x_at(int64_t n, int64_t g) const {
    return (n * groups + g) * in_channels * window.input_size();
  }
  int64_t y_at(int64_t n, int64_t g) const {
    return (n * groups + g) * out_channels * window.output_size();
  }
  int64_t w_at(int64_t g) const { return g * out_channels * weight_rows(); }

  // Multiplications of one image's group, and of all.
  double group_work() const {
    return static_cast<double>(out_channels) * static_cast<double>(weight_rows()) *
           static_cast<double>(window.output_size());
  }
  double work() const { return group_work() * static_cast<double>(batch * groups); }

  // Weights without elements may have kernels of any size.
  bool has_weights() const { return groups > 0 && in_channels > 0 && out_channels > 0; }
};

// Multiplications that are worth a piece of a parallel loop.
inline constexpr double work_grain = 1 << 17;

inline int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Pieces of this much work that are worth a thread's waking.
inline int64_t pieces_grain(double work_of_piece) {
  return std::max<int64_t>(1, static_cast<int64_t>(work_grain / std::max(1.0, work_of_piece)));
}

}  // namespace onnxrun
