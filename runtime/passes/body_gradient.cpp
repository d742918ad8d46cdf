#include "passes/body_gradient.h"

#include "base/error.h"
#include "graph/builder.h"
#include "passes/dead_nodes.h"

namespace onnxrun {

ValueId own_value(GraphBuilder& builder, ValueId v) { return builder.add("Identity", {v}); }

// What the gradient computes again has to be what it was.
static void reject_other_draws(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (!node.op->repeats(graph, node)) {
      fail(ErrorKind::Unsupported, "{} in a subgraph would draw other numbers for the gradient",
           node.info->spec.name);
    }
    for (const Graph& body : node.bodies) reject_other_draws(body);
  }
}

BodyGradient body_gradient(const Graph& body, const std::vector<size_t>& seeded,
                           const std::vector<Type>& cotangents, const std::vector<size_t>& wanted) {
  BodyGradient result{body, std::vector<bool>(body.inputs.size(), false)};
  Graph& graph = result.graph;
  std::vector<Seed> seeds;
  for (size_t i = 0; i < seeded.size(); ++i) {
    ValueId cotangent = graph.add_input(graph.unique_name("cotangent"), cotangents[i]);
    seeds.push_back({graph.outputs[seeded[i]], cotangent});
  }
  std::vector<ValueId> wrt;
  for (size_t i : wanted) wrt.push_back(graph.inputs[i]);
  std::vector<ValueId> gradients = gradient(graph, seeds, wrt);
  GraphBuilder builder(graph, "grad/");
  graph.outputs.clear();
  for (ValueId g : gradients) graph.outputs.push_back(own_value(builder, g));
  remove_dead_nodes(graph);
  reject_other_draws(graph);
  std::vector<int> uses = graph.use_counts();
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    result.reads[i] = uses[static_cast<size_t>(body.inputs[i])] > 0;
  }
  return result;
}

}  // namespace onnxrun
