// What the operators of a graph use its initializers for.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// One use of a value, or of what was made of it by moving its elements.
struct WeightUse {
  // The first node that takes it for a weight, bias, scale or table, its graph, and the input;
  // null if none does. The constant operand of a sum or product beside such a node counts, too.
  const Graph* graph = nullptr;
  const Node* node = nullptr;
  size_t input = 0;
  // The first node that takes it for a running statistic, and its graph; null if none does.
  const Graph* statistic_graph = nullptr;
  const Node* statistic = nullptr;
  // It is no more than an operand beside a product or a norm, or the scale or bias of a norm.
  bool beside = true;
  // Something is computed with it: it is not only a limit, a shape, a ratio.
  bool computes = false;
};

// The uses of every value of the graph, by id. Linear in the size of the graph, bodies included:
// carried values and captures are followed into bodies. Throws nothing but for lack of memory.
std::vector<WeightUse> weight_uses(const Graph& graph);

}  // namespace onnxrun
