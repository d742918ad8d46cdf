// Relu and Clip become part of the products that they read.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A Relu or Clip that alone reads what a product gives, and that product, if it has a form that
// limits its result (graph/limited_product.h), become one node, in floating-point types. Bodies are
// rewritten too.
void fuse_limits(Graph& graph);

}  // namespace onnxrun
