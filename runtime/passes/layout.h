// Images between convolutions get their channels as the last axis.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Nodes that have a channels-last form (graph/channels_last.h), and those between them that do not
// care how images lie, work on images whose channels are the last axis, where that moves fewer
// pixels than transpositions at the border do. What others read keeps its layout under its id.
// Graphs that train are left alone. Bodies are rewritten too. Types have been inferred.
void lay_channels_last(Graph& graph);

}  // namespace onnxrun
