// BatchNormalization in training mode as its formula.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Appends the formula of a node that gives running statistics (ONNX Runtime writes them into the
// memory that the caller feeds). The rank of the input must be known.
void emit_plain_batch_normalization(Graph& graph, Node node);

}  // namespace onnxrun
