// Which initializers are parameters.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Gives every floating-point initializer of an imported graph its role and the reason for it.
//
// Where the exporter marked any (PyTorch's PARAMETER and BUFFER, and the names that a folded weight
// came from), the marks decide; else the position does: what products, convolutions, recurrent and
// norm nodes, PRelu and embeddings take as weight or bias, the constant operand of an Add, Sub or
// Mul beside a product, and names with ReadVariableOp, followed back through views, casts and
// bodies. A tensor that is also a running statistic is a buffer, whatever else it is used for.
void choose_parameters(Graph& graph);

}  // namespace onnxrun
