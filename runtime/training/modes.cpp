#include "training/modes.h"

#include <algorithm>
#include <set>

#include "training/body_draws.h"

namespace onnxrun {

namespace {

// Bodies count the steps with values of their own.
void set_body_modes(Graph& graph, Node& node, const TrainingModes& modes, int64_t number) {
  std::vector<ValueId> steps(node.bodies.size(), no_value);
  bool draws = std::any_of(node.bodies.begin(), node.bodies.end(), draws_numbers);
  if (draws && modes.step != no_value) {
    steps = hand_in_step(graph, node, modes.step, number);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    TrainingModes inner = modes;
    inner.step = steps[i];
    set_training_modes(node.bodies[i], inner);
  }
}

bool is_stored(const Graph& graph, ValueId v) {
  auto it = graph.initializers.find(v);
  return it != graph.initializers.end() && it->second.stored >= 0;
}

}  // namespace

std::vector<RunningStatistic> set_training_modes(Graph& graph, const TrainingModes& modes) {
  std::vector<RunningStatistic> all;
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    auto number = static_cast<int64_t>(graph.nodes.size());
    set_body_modes(graph, node, modes, number);
    OpPtr op = node.op;
    ModeContext context(graph, node, modes, number, all);
    op->set_mode(context);
    context.place();
  }
  std::set<ValueId> taken;
  std::erase_if(all, [&](const RunningStatistic& s) {
    return !is_stored(graph, s.in) || !taken.insert(s.in).second;
  });
  return all;
}

}  // namespace onnxrun
