// ConvTranspose in the form that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A ConvTranspose with groups of several channels becomes one for each (the ONNX project's
// reference evaluator takes the wrong weights). As Op::emit_plain.
bool emit_plain_transposed_convolution(Graph& graph, Node& node, int64_t groups);

}  // namespace onnxrun
