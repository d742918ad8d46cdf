#include "plan/escapes.h"

#include <algorithm>

namespace onnxrun {

namespace {

bool has_containers(const Graph& graph, const Node& node) {
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId v) { return v != no_value && !graph.value(v).type.is_tensor(); });
}

// Whether an output of the body may be one of its inputs.
bool passes_through(const Graph& body) {
  std::vector<int> producers = body.producers();
  for (const Node& node : body.nodes) {
    if (!node.bodies.empty() || has_containers(body, node)) return true;
  }
  return std::any_of(body.outputs.begin(), body.outputs.end(), [&](ValueId v) {
    while (v != no_value && producers[static_cast<size_t>(v)] >= 0) {
      const Node& node = body.nodes[static_cast<size_t>(producers[static_cast<size_t>(v)])];
      if (!node.op->traits().view) return false;
      v = node.inputs[0];
    }
    return v != no_value && !body.initializers.count(v);
  });
}

}  // namespace

bool may_escape(const Graph& graph, const Node& node, size_t i) {
  if (has_containers(graph, node)) return true;
  if (node.bodies.empty()) return i == 0 && node.op->traits().view;
  // Without an iteration what a loop starts with is its result.
  return i < node.formal_inputs() ||
         std::any_of(node.bodies.begin(), node.bodies.end(), passes_through);
}

}  // namespace onnxrun
