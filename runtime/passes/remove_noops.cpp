#include "passes/remove_noops.h"

#include <algorithm>

namespace onnxrun {

namespace {

// Which values have to be there under their own ids.
std::vector<bool> bound_values(const Graph& graph) {
  std::vector<bool> kept(graph.value_count(), false);
  for (ValueId v : graph.outputs) kept[static_cast<size_t>(v)] = true;
  for (const StateBinding& s : graph.state) kept[static_cast<size_t>(s.out)] = true;
  return kept;
}

}  // namespace

void remove_noops(Graph& graph) {
  std::vector<ValueId> stands_for(graph.value_count());
  for (size_t v = 0; v < stands_for.size(); ++v) stands_for[v] = static_cast<ValueId>(v);
  auto resolve = [&](ValueId& v) {
    if (v != no_value) v = stands_for[static_cast<size_t>(v)];
  };
  const std::vector<bool> is_kept = bound_values(graph);
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    std::for_each(node.inputs.begin(), node.inputs.end(), resolve);
    bool drops = node.op->traits().noop_if_same_type && node.inputs[0] != no_value &&
                 !is_kept[static_cast<size_t>(node.outputs[0])];
    if (drops) {
      const Type &in = graph.value(node.inputs[0]).type, &out = graph.value(node.outputs[0]).type;
      drops = in.is_concrete() && identical(in, out);
    }
    if (drops) {
      stands_for[static_cast<size_t>(node.outputs[0])] = node.inputs[0];
    } else {
      kept.push_back(std::move(node));
    }
  }
  graph.nodes = std::move(kept);
  std::for_each(graph.guards.begin(), graph.guards.end(), resolve);
}

}  // namespace onnxrun
