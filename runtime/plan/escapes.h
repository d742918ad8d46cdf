// Which inputs of a node live on in its outputs.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// True if, after a run of `node`, one of its outputs may be, or hold, the memory of input `i`: a
// view of it, a sequence with it, or what a subgraph passes through. Captures count as inputs.
bool may_escape(const Graph& graph, const Node& node, size_t i);

}  // namespace onnxrun
