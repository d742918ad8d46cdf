// Chains of elementwise operators become one pass over the data.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Nodes that compute a function of element_function.h for tensors of one shape and number type, and
// read each other, become one onnxrun.Elementwise node; what others read of them stays there under
// its id. Nodes whose shape is not known, at least by symbols, are left alone. Bodies are rewritten
// too. Linear in the number of nodes, but for putting them in order.
void fuse_elementwise(Graph& graph);

// Programs whose outputs turn out to be of different shapes, because lengths that the model says
// are equal are not, become what they were made of. Types have been inferred.
void split_uneven_programs(Graph& graph);

}  // namespace onnxrun
