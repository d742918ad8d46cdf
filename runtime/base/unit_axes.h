// Axes of length 1, which many comparisons of shapes leave out.
#pragma once

#include <vector>

#include "base/shape.h"

namespace onnxrun {

inline Dims without_unit_axes(Dims dims) {
  std::erase(dims, 1);
  return dims;
}

// Lengths that are not known stay.
inline Shape without_unit_axes(Shape shape) {
  std::erase_if(shape, [](const Dim& d) { return d == Dim(1); });
  return shape;
}

}  // namespace onnxrun
