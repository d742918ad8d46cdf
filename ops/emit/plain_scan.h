// Scan in the form that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A Scan from the last element on, or along other axes than the first, becomes a plain one over
// turned sequences (the ONNX project's reference evaluator has no other). As Op::emit_plain.
bool emit_plain_scan(Graph& graph, Node& node);

}  // namespace onnxrun
