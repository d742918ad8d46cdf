// Replaces operators by their decompositions.
#pragma once

#include <functional>

#include "graph/graph.h"

namespace onnxrun {

// Replaces every node (in bodies too) for which `which` holds by its decomposition, again and again
// until none is left. Values keep their ids and names. `which` must hold only for nodes whose spec
// says `decomposes`.
void decompose(Graph& graph, const std::function<bool(const Node&)>& which);

// Private operators, for writing a graph as plain ONNX. Throws Unsupported naming the node if one
// has no decomposition.
void decompose_private(Graph& graph);

}  // namespace onnxrun
