#include "graph/inline_graph.h"

#include <cassert>

namespace onnxrun {

std::vector<ValueId> inline_graph(GraphBuilder& builder, const Graph& inner,
                                  const std::vector<ValueId>& inputs) {
  assert(inputs.size() == inner.inputs.size());
  Graph& graph = builder.graph();
  std::vector<ValueId> outer(inner.value_count(), no_value);
  for (size_t i = 0; i < inputs.size(); ++i) {
    outer[static_cast<size_t>(inner.inputs[i])] = inputs[i];
  }
  for (const auto& [id, init] : inner.initializers) {
    ValueId v = graph.add_initializer(graph.unique_name(inner.name_of(id)), init.value, init.role);
    graph.initializers[v].stored = init.stored;
    outer[static_cast<size_t>(id)] = v;
  }
  auto map = [&](ValueId v) { return v == no_value ? no_value : outer[static_cast<size_t>(v)]; };
  for (const Node& original : inner.nodes) {
    Node node = original;
    for (ValueId& v : node.inputs) v = map(v);
    for (ValueId& v : node.outputs) {
      if (v == no_value) continue;
      ValueId copy = graph.add_value(graph.unique_name(inner.name_of(v)));
      outer[static_cast<size_t>(v)] = copy;
      v = copy;
    }
    infer_node(graph, node);
    graph.nodes.push_back(std::move(node));
  }
  std::vector<ValueId> results;
  for (ValueId v : inner.outputs) results.push_back(map(v));
  return results;
}

}  // namespace onnxrun
