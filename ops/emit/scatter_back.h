// Gradients of operators that only move elements, from the operators themselves.
#pragma once

#include <functional>

#include "graph/builder.h"

namespace onnxrun {

// For an operator that moves the elements of a tensor of the given shape (a 1-D int64 value): zeros
// in that shape, to which each element of `dy` is added where it came from. `move` applies the
// operator: it is given the elements' numbers in place of the elements, so its result says where
// they come from.
ValueId scatter_back(GraphBuilder& b, ValueId shape, ValueId dy,
                     const std::function<ValueId(ValueId numbers)>& move);

}  // namespace onnxrun
