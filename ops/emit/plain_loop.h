// Loop in the form that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Appends a Loop whose stacked results leave it as rows and get their shape behind it (the ONNX
// project's reference evaluator stacks with np.vstack, which is right for rows only), and whose
// condition is never left out (the evaluator takes that for false). Bodies are left alone.
void emit_plain_loop(Graph& graph, Node node);

}  // namespace onnxrun
