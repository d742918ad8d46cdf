// Samples in the shape that a model's input asks for.
#pragma once

#include <optional>

#include "graph/graph.h"

namespace onnxrun {

// The shape in which an array, whose first axis counts the samples, feeds an input of this type, if
// it does not as it is but its samples have as many elements: the shapes differ by axes of length
// 1, or one of them is flat. Pictures with their channels elsewhere stay what they are.
std::optional<Dims> reshaped_samples(const Type& input, const Dims& array);

// The axis of an input or output that is named for the batch ("batch", "batch_size", "N"), if just
// one is.
std::optional<int64_t> named_batch_axis(const Type& type);

}  // namespace onnxrun
