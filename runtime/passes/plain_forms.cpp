#include "passes/plain_forms.h"

namespace onnxrun {

void use_plain_forms(Graph& graph) {
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    for (Graph& body : node.bodies) use_plain_forms(body);
    OpPtr op = node.op;
    if (!op->emit_plain(graph, node)) graph.nodes.push_back(std::move(node));
  }
}

}  // namespace onnxrun
