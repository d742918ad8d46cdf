// The gradient of a subgraph, as a subgraph.
#pragma once

#include "passes/gradient.h"

namespace onnxrun {

// `graph` takes the body's inputs, then one cotangent for each seeded output; it computes the body
// again and gives the cotangents of the wanted inputs. `reads` says which of the body's inputs that
// needs.
struct BodyGradient {
  Graph graph;
  std::vector<bool> reads;
};

// `seeded` are positions of outputs, `cotangents` the types of what flows into them, `wanted`
// positions of inputs. All values must carry gradients.
BodyGradient body_gradient(const Graph& body, const std::vector<size_t>& seeded,
                           const std::vector<Type>& cotangents, const std::vector<size_t>& wanted);

// An output that is an input, a constant or another output again gets a value of its own, as ONNX
// wants a graph's outputs to have.
ValueId own_value(GraphBuilder& builder, ValueId v);

}  // namespace onnxrun
