// Whether gradients reach the parameters of a model, and what stands in the way.
#pragma once

#include <string>
#include <vector>

#include "findings.h"
#include "graph/graph.h"

namespace onnxrun::tool {

struct ParameterState {
  std::string name;
  bool reached = false;  // a gradient comes to it from the model's outputs
};

// Differentiates all floating-point outputs by all parameters of `graph`, whose roles are chosen.
// Adds a warning for each operator without a gradient, with the parameters behind it, for each
// parameter that no gradient reaches, and for a model that has none.
std::vector<ParameterState> check_trainable(const Graph& graph, Findings& findings);

}  // namespace onnxrun::tool
