// Standard operators in the forms that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Rewrites what the standard allows but some runtimes do not take, in bodies too; the meaning
// stays. Operators know their plain forms (Op::emit_plain).
void use_plain_forms(Graph& graph);

}  // namespace onnxrun
