// Pad in the form that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A Pad by known negative amounts becomes Slice and Pad (np.pad of the ONNX project's reference
// evaluator adds only). As Op::emit_plain.
bool emit_plain_pad(Graph& graph, Node& node);

}  // namespace onnxrun
