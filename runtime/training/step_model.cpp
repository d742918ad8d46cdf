#include "training/step_model.h"

#include <algorithm>

#include "graph/builder.h"
#include "passes/dead_nodes.h"
#include "passes/decompose.h"
#include "passes/fold.h"
#include "passes/plain_forms.h"
#include "training/body_draws.h"

namespace onnxrun {

// Adds an output of this name. A value that has another part to play as well goes out as a copy.
static void add_output(Graph& graph, ValueId v, const std::string& name) {
  bool taken = graph.producers()[static_cast<size_t>(v)] < 0 ||
               std::find(graph.outputs.begin(), graph.outputs.end(), v) != graph.outputs.end();
  if (taken) v = GraphBuilder(graph, "step/").add("Identity", {v});
  graph.value(v).name = name;
  graph.outputs.push_back(v);
}

Graph make_step_model(const TrainingGraph& training) {
  Graph graph = training.graph;
  reject_body_draws(graph);
  std::vector<StateBinding> state = std::move(graph.state);
  graph.state.clear();
  graph.guards.clear();
  ValueId loss = graph.outputs[0];
  graph.outputs.clear();
  add_output(graph, loss, "loss");
  for (const StateBinding& s : state) add_output(graph, s.out, graph.name_of(s.in) + "::next");
  decompose_private(graph);
  fold_constants(graph);
  use_plain_forms(graph);
  remove_dead_nodes(graph);
  verify(graph);
  return graph;
}

}  // namespace onnxrun
