#include "passes/decompose.h"

#include "base/error.h"
#include "graph/gradient_context.h"

namespace onnxrun {

namespace {

// A decomposition may end in a value that is there already (an input passed through); the old id
// must still be produced by a node.
void take_results(Graph& graph, GraphBuilder& builder, const Node& node,
                  const std::vector<ValueId>& results) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    ValueId old = node.outputs[i];
    if (old == no_value) continue;
    if (results[i] == no_value) {
      fail(ErrorKind::Internal, "the decomposition leaves output {} of {} out", i,
           describe(graph, node));
    }
    NodeOptions options;
    builder.add_n("Identity", {results[i]}, 1, options);
    graph.nodes.back().outputs = {old};
    graph.value(old).type = refine(graph.value(results[i]).type, graph.value(old).type);
    graph.value(old).content = graph.value(results[i]).content;
  }
}

std::string prefix_of(const Graph& graph, const Node& node) {
  for (ValueId v : node.outputs) {
    if (v != no_value) return graph.name_of(v) + "/";
  }
  return "";
}

// Runs `emit` with an empty node list and returns what it added.
template <typename F>
std::vector<Node> added_by(Graph& graph, F&& emit) {
  std::vector<Node> saved = std::move(graph.nodes);
  graph.nodes.clear();
  emit();
  std::vector<Node> added = std::move(graph.nodes);
  graph.nodes = std::move(saved);
  return added;
}

void expand(Graph& graph, Node node, const std::function<bool(const Node&)>& which, int depth,
            std::vector<Node>& out) {
  for (Graph& body : node.bodies) decompose(body, which);
  if (!which(node)) {
    out.push_back(std::move(node));
    return;
  }
  if (depth > 32) fail(ErrorKind::Internal, "{} decomposes without end", describe(graph, node));
  std::vector<Node> added = added_by(graph, [&] {
    GraphBuilder builder(graph, prefix_of(graph, node));
    DecomposeContext context(builder, node);
    try {
      node.op->decompose(context);
    } catch (const Error& e) {
      throw e.in(frame_of(graph, node));
    }
    take_results(graph, builder, node, context.results());
  });
  for (Node& n : added) expand(graph, std::move(n), which, depth + 1, out);
}

}  // namespace

void decompose(Graph& graph, const std::function<bool(const Node&)>& which) {
  std::vector<Node> out;
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) expand(graph, std::move(node), which, 0, out);
  graph.nodes = std::move(out);
}

void decompose_private(Graph& graph) {
  decompose(graph, [&](const Node& node) {
    if (node.info->spec.domain != private_domain) return false;
    if (!node.info->spec.decomposes) {
      fail(ErrorKind::Unsupported, "{} has no form in standard ONNX", describe(graph, node));
    }
    return true;
  });
}

}  // namespace onnxrun
