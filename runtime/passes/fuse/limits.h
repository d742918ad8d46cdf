// Limits (Relu, Clip) become part of the products that they read.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// What limits its input and alone reads it, and the product that gives it, if that has a form that
// limits its result (graph/limited_product.h), become one node, in floating-point types. Bodies are
// rewritten too.
void fuse_limits(Graph& graph);

}  // namespace onnxrun
