// Loop and Scan in the forms that every runtime has (plain_forms.h).
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Appends the node to the graph in a plain form, or as it is. Bodies are left alone.
void append_plain_scan(Graph& graph, Node node);
void append_plain_loop(Graph& graph, Node node);

}  // namespace onnxrun
