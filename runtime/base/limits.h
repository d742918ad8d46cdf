// Limits that hold everywhere, whatever a model or a data file asks for.
#pragma once

#include <cstddef>

#include "base/error.h"

namespace onnxrun {

// Axes of a tensor; as many as numpy has.
inline constexpr size_t max_rank = 64;

// Throws Limit.
inline void check_rank(size_t rank) {
  if (rank > max_rank) {
    fail(ErrorKind::Limit, "a shape has {} axes, at most {} are supported", rank, max_rank);
  }
}

}  // namespace onnxrun
