// A model's nodes as a table: shapes, parameters, cost.
#pragma once

#include <string>

#include "formats/json.h"
#include "graph/graph.h"

namespace onnxrun::tool {

// A line a node that computes with more than initializers, as Keras's model.summary() has layers:
// name and operator, output types, numbers stored, operations. Totals of the stored numbers below,
// trainable and not.
std::string summary_text(const Graph& graph);

// The same nodes, the costliest first: operations, bytes moved, bytes of outputs.
std::string cost_text(const Graph& graph);

// [{"name": ..., "op": ..., "outputs": [...], "params": N, "flops": N, "bytes": N,
// "output_bytes": N}, ...]; null where a shape is not known.
Json summary_json(const Graph& graph);

}  // namespace onnxrun::tool
