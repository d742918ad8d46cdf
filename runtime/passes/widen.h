// A graph in another floating-point type.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// Makes every float32, float16 and bfloat16 value a double: inputs, initializers, bodies, and
// attributes that name or hold such a type. Types are inferred anew. Stored indices and roles stay.
void widen_to_double(Graph& graph);

// Makes every float16 and bfloat16 value a float32, likewise. True if there was one.
bool widen_halves(Graph& graph);

struct FloatConversion {
  DType to = DType::Float64;  // Float64, Float32, Float16 or BFloat16
  // Inputs and outputs of the graph keep their types, casts stand beside them.
  bool keep_io = false;
  // Type parameters of operators ("T1") that stay float32 although they have the type here; none if
  // empty.
  std::function<bool(const OpSpec&, std::string_view parameter, DType)> excluded = {};
};

// The same for any of these four types, from the three others. A node whose operator does not have
// the type computes in float32, between casts, with the constants it had. Constants beyond the
// range of the new type become its largest number; returns their names.
std::vector<std::string> convert_floats(Graph& graph, const FloatConversion& conversion);

}  // namespace onnxrun
