// Which matrices of two batches are multiplied with each other.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "base/shape.h"

namespace onnxrun {

class MatrixBatches {
 public:
  MatrixBatches() = default;
  // Of operands of these dims, whose batch axes broadcast; the last two axes are the matrices'.
  MatrixBatches(const Dims& a, const Dims& b) {
    int64_t a_stride = 1, b_stride = 1;
    for (size_t back = 3; back <= std::max(a.size(), b.size()); ++back) {
      int64_t la = back <= a.size() ? a[a.size() - back] : 1;
      int64_t lb = back <= b.size() ? b[b.size() - back] : 1;
      int64_t length = la == 1 ? lb : la;
      if (length != 1) axes_.push_back({length, la == 1 ? 0 : a_stride, lb == 1 ? 0 : b_stride});
      count_ *= length;
      a_stride *= la;
      b_stride *= lb;
    }
  }

  int64_t count() const { return count_; }

  // The numbers of the two matrices that make result i.
  std::pair<int64_t, int64_t> at(int64_t i) const {
    int64_t a = 0, b = 0;
    for (const Axis& axis : axes_) {
      int64_t index = i % axis.length;
      i /= axis.length;
      a += index * axis.a_step;
      b += index * axis.b_step;
    }
    return {a, b};
  }

 private:
  struct Axis {
    int64_t length, a_step, b_step;  // steps in matrices
  };
  std::vector<Axis> axes_;  // innermost first; those of length 1 left out
  int64_t count_ = 1;
};

}  // namespace onnxrun
