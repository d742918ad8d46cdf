// Matrices that are transposed only to be multiplied, or as they have been.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Products read transposed what nodes before them transpose, if those serve nothing else, and give
// transposed, from their operands in the other order, what a node behind them would transpose. An
// element stays the same sum in the same order. Nodes that nobody reads any more stay.
void fuse_transpositions(Graph& graph);

}  // namespace onnxrun
