// Which elementwise values are cheaper to compute twice than to keep.
#pragma once

#include <cstddef>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// `groups` are positions of elementwise nodes, ascending, that will each be one program; `kept`
// says of values that somebody beside the nodes reads them. Returns for each group nodes of others,
// ascending, that its program repeats: whose results only such programs read outside their own, and
// which follow from what stays in memory anyway. What lies between a forward and a backward pass is
// less by them. No program gets more than `most_calls` calls or `most_inputs` inputs.
std::vector<std::vector<size_t>> nodes_to_repeat(const Graph& graph,
                                                 const std::vector<std::vector<size_t>>& groups,
                                                 const std::vector<bool>& kept, size_t most_calls,
                                                 size_t most_inputs);

}  // namespace onnxrun
