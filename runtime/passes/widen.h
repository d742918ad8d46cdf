// A graph in double precision.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Makes every float32, float16 and bfloat16 value a double: inputs, initializers, bodies, and
// attributes that name or hold such a type. Types are inferred anew. Stored indices and roles stay.
void widen_to_double(Graph& graph);

}  // namespace onnxrun
