// The family of operators that work along one axis.
#pragma once

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"

namespace onnxrun {

// A tensor as [outer, length, inner] around one axis.
struct AxisSplit {
  int64_t outer = 1, length = 1, inner = 1;

  AxisSplit(const Dims& dims, int64_t axis) {
    axis = normalize_axis(axis, static_cast<int64_t>(dims.size()));
    for (size_t i = 0; i < dims.size(); ++i) {
      auto at = static_cast<int64_t>(i);
      (at < axis ? outer : at == axis ? length : inner) *= dims[i];
    }
  }
};

// Rejects an axis that an input of known rank does not have.
inline void check_axis(const InferContext& c, int64_t axis) {
  int64_t rank = c.rank(0);
  if (rank >= 0 && (axis < -rank || axis >= rank)) {
    c.reject("axis {} is outside [{},{}]: {}", axis, -rank, rank - 1, c.describe_input(0));
  }
}

}  // namespace onnxrun
