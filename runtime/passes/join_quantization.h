// Makes quantized graphs differentiable.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A DequantizeLinear of what QuantizeLinear or DynamicQuantizeLinear gives, with the same scale and
// zero point, becomes onnxrun.FakeQuantize of what that quantizes, in bodies too: no gradient
// passes integers, but one passes FakeQuantize. Numbers stay the same.
void join_quantization(Graph& graph);

}  // namespace onnxrun
