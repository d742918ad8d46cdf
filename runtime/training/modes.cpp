#include "training/modes.h"

#include <algorithm>
#include <set>

#include "graph/builder.h"
#include "training/body_draws.h"

namespace onnxrun {

namespace {

using IsConcerned = bool (*)(const Graph&, const Node&);

std::vector<RunningStatistic> set_modes(Graph& graph, const TrainingModes& modes,
                                        IsConcerned is_concerned);

// Bodies count the steps with values of their own.
void set_body_modes(Graph& graph, Node& node, const TrainingModes& modes, int64_t number,
                    IsConcerned is_concerned) {
  std::vector<ValueId> steps(node.bodies.size(), no_value);
  bool draws = std::any_of(node.bodies.begin(), node.bodies.end(), draws_numbers);
  if (draws && modes.step != no_value) {
    steps = hand_in_step(graph, node, modes.step, number);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    TrainingModes inner = modes;
    inner.step = steps[i];
    set_modes(node.bodies[i], inner, is_concerned);
  }
}

bool is_stored(const Graph& graph, ValueId v) {
  auto it = graph.initializers.find(v);
  return it != graph.initializers.end() && it->second.stored >= 0;
}

std::vector<RunningStatistic> set_modes(Graph& graph, const TrainingModes& modes,
                                        IsConcerned is_concerned) {
  std::vector<RunningStatistic> all;
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    auto number = static_cast<int64_t>(graph.nodes.size());
    set_body_modes(graph, node, modes, number, is_concerned);
    if (!is_concerned(graph, node)) {
      graph.nodes.push_back(std::move(node));
      continue;
    }
    OpPtr op = node.op;
    ModeContext context(graph, node, modes, number, all);
    op->set_mode(context);
    context.place();
  }
  return all;
}

bool any_node(const Graph&, const Node&) { return true; }

// Draws other numbers in every run, whatever is fed.
bool draws_anew(const Graph& graph, const Node& node) {
  if (!node.op->traits().random || node.op->repeats(graph, node)) return false;
  return std::all_of(node.inputs.begin() + (node.inputs.empty() ? 0 : 1), node.inputs.end(),
                     [&](ValueId v) { return v == no_value || graph.constant(v); });
}

}  // namespace

std::vector<RunningStatistic> set_training_modes(Graph& graph, const TrainingModes& modes) {
  std::vector<RunningStatistic> all = set_modes(graph, modes, any_node);
  std::set<ValueId> taken;
  std::erase_if(all, [&](const RunningStatistic& s) {
    return !is_stored(graph, s.in) || !taken.insert(s.in).second;
  });
  return all;
}

void fix_draws(Graph& graph, uint64_t seed, ValueId step) {
  TrainingModes modes;
  modes.seed = seed;
  modes.step = step == no_value ? GraphBuilder(graph, "draws/").int_scalar(0) : step;
  set_modes(graph, modes, draws_anew);
}

}  // namespace onnxrun
