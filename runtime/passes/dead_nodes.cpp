#include "passes/dead_nodes.h"

#include <algorithm>

namespace onnxrun {

void remove_dead_nodes(Graph& graph, bool keep_initializers) {
  std::vector<bool> used(graph.value_count(), false);
  auto use = [&](ValueId v) {
    if (v != no_value) used[static_cast<size_t>(v)] = true;
  };
  std::for_each(graph.outputs.begin(), graph.outputs.end(), use);
  std::for_each(graph.guards.begin(), graph.guards.end(), use);
  for (const StateBinding& s : graph.state) use(s.out);
  std::vector<Node> kept;
  for (auto it = graph.nodes.rbegin(); it != graph.nodes.rend(); ++it) {
    bool live = std::any_of(it->outputs.begin(), it->outputs.end(), [&](ValueId v) {
      return v != no_value && used[static_cast<size_t>(v)];
    });
    if (!live) continue;
    std::for_each(it->inputs.begin(), it->inputs.end(), use);
    for (Graph& body : it->bodies) remove_dead_nodes(body, keep_initializers);
    kept.push_back(std::move(*it));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  if (keep_initializers) return;
  std::erase_if(graph.initializers,
                [&](const auto& entry) { return !used[static_cast<size_t>(entry.first)]; });
  std::erase_if(graph.overridable, [&](ValueId v) { return graph.initializers.count(v) == 0; });
}

}  // namespace onnxrun
