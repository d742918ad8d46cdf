// The gradients of maximum pools and of the Relus that they pool.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A MaxPoolGrad whose result alone goes through the gradient of the Relu that gave its X, zero
// where X is not above 0, does that, too. Bodies are rewritten too.
void fuse_rectified_pools(Graph& graph);

}  // namespace onnxrun
