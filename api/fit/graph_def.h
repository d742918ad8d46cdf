// A model's graph as TensorBoard shows it.
#pragma once

#include <string>

#include "graph/graph.h"

namespace onnxrun {

// A GraphDef message (tensorflow/core/framework/graph.proto): a node for each input, initializer,
// node and output, with the shapes of its outputs; scopes are what stands between slashes, or, for
// initializers, dots. Bodies of nodes are not in it.
std::string graph_def(const Graph& graph);

}  // namespace onnxrun
