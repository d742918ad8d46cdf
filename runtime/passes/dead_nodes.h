// Dead code elimination.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Removes nodes and initializers that no output, state or guard depends on, in bodies too. With
// `keep_initializers` only nodes go.
void remove_dead_nodes(Graph& graph, bool keep_initializers = false);

}  // namespace onnxrun
