// Which node a number that is not finite comes from.
#pragma once

#include <span>
#include <string>

#include "graph/graph.h"
#include "onnxrun/value.h"

namespace onnxrun {

// "'/Log_output_0' of Log node '/Log'": output `output` of a node that gave it from `inputs`, or,
// if passes made the node of several, the first of these whose value is not finite.
std::string blamed_value(const Graph& graph, const Node& node,
                         std::span<const RuntimeValue* const> inputs, size_t output);

}  // namespace onnxrun
