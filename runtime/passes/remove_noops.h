// Nodes that do nothing.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Makes readers of nodes that turn out to leave their input as it is (identities, casts,
// expansions, reshapes, sums over nothing: OpTraits::noop_if_same_type) read the input instead.
// Only right once shapes are concrete: what is a no-op for one batch size need not be one for
// another. Outputs and state keep their values.
void remove_noops(Graph& graph);

}  // namespace onnxrun
