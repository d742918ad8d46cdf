#include "passes/remove_noops.h"

#include <algorithm>

namespace onnxrun {

namespace {

bool is_kept(const Graph& graph, ValueId v) {
  auto is = [v](ValueId other) { return other == v; };
  return std::any_of(graph.outputs.begin(), graph.outputs.end(), is) ||
         std::any_of(graph.state.begin(), graph.state.end(),
                     [v](const StateBinding& s) { return s.out == v; });
}

}  // namespace

void remove_noops(Graph& graph) {
  std::vector<ValueId> stands_for(graph.value_count());
  for (size_t v = 0; v < stands_for.size(); ++v) stands_for[v] = static_cast<ValueId>(v);
  auto resolve = [&](ValueId& v) {
    if (v != no_value) v = stands_for[static_cast<size_t>(v)];
  };
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    std::for_each(node.inputs.begin(), node.inputs.end(), resolve);
    bool drops = node.op->traits().noop_if_same_type && node.inputs[0] != no_value &&
                 !is_kept(graph, node.outputs[0]);
    if (drops) {
      const Type &in = graph.value(node.inputs[0]).type, &out = graph.value(node.outputs[0]).type;
      drops = in.is_concrete() && in.to_string() == out.to_string();
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
