// One graph's nodes inside another.
#pragma once

#include "graph/builder.h"

namespace onnxrun {

// Copies the nodes and initializers of `inner` into the builder's graph, reading `inputs` where
// they read inner.inputs, and returns what inner.outputs have become. Names get the builder's
// prefix and a number where they are taken; tensors are shared.
std::vector<ValueId> inline_graph(GraphBuilder& builder, const Graph& inner,
                                  const std::vector<ValueId>& inputs);

}  // namespace onnxrun
