// Reverse-mode differentiation of graphs.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// A value and the cotangent that flows into it.
struct Seed {
  ValueId value = no_value;
  ValueId cotangent = no_value;
};

// Appends nodes that compute, for each value of `wrt`, the vector-Jacobian product
// sum_k cotangent_k . d value_k / d wrt, and returns those values (in the type of `wrt`). A value
// that no seed depends on differentiably gets zeros, and false in `flows`, if it is given. Nodes on
// the way whose gradient comes from their decomposition are replaced by it first. Throws
// Unsupported naming node and operator where a gradient is missing.
//
// Since gradients are ordinary nodes, the result may be differentiated again.
std::vector<ValueId> gradient(Graph& graph, const std::vector<Seed>& seeds,
                              const std::vector<ValueId>& wrt, std::vector<bool>* flows = nullptr);

// `cotangent` summed over what broadcasting from `like`'s shape repeated, in the shape of `like`;
// `cotangent` itself if the shapes are provably equal.
ValueId sum_to(class GraphBuilder& builder, ValueId cotangent, ValueId like);

// True for values that gradients flow through: floating-point tensors, and sequences and optionals
// of them.
bool carries_gradient(const Type& type);

}  // namespace onnxrun
