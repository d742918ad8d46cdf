// The gradients of Relus and those behind them.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Where(x <= 0, 0, gradient), the gradient of the Relu that gave x, becomes part of that gradient,
// if nobody else reads it and it can (graph/relu_gradient.h). Bodies are rewritten too.
void fuse_relu_gradients(Graph& graph);

}  // namespace onnxrun
