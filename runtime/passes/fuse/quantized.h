// Products between DequantizeLinear and QuantizeLinear become products of bytes.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Products of dequantized bytes whose result only a QuantizeLinear reads (through a Relu that its
// zero point does, too) take their forms of bytes (graph/quantized_form.h), and so do those whose
// result stays float, if they have one. An output differs from the float
// computation by one level at most, where that rounds another way (docs/decisions/0010). What only
// moves elements, or takes the largest, between equal scales works on the bytes. Nodes that nobody
// reads any more stay. Bodies are rewritten too.
void fuse_quantized(Graph& graph);

}  // namespace onnxrun
