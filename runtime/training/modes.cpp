#include "training/modes.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/node_attributes.h"
#include "training/body_draws.h"

namespace onnxrun {

namespace {

void set_attribute(Node& node, const std::string& name, AttributeValue value) {
  Attributes attributes = attributes_of(node);
  attributes[name] = std::move(value);
  set_attributes(node, attributes);
}

bool is(const Node& node, std::string_view name) {
  return node.info->spec.name == name && node.info->spec.domain.empty();
}

bool has_seed(const Node& node) { return attributes_of(node).count("seed") > 0; }

// Dropout's third input is training_mode; the private operator in its place has the step there.
// Their gradient reads the mask.
void set_dropout(Graph& graph, Node& node, const TrainingModes& modes, int64_t number) {
  GraphBuilder builder(graph);
  node.inputs.resize(3, no_value);
  bool counted = modes.dropout && modes.step != no_value && !has_seed(node);
  if (!counted) {
    node.inputs[2] = builder.constant(Tensor::scalar<bool>(modes.dropout));
  } else {
    node.info = &graph.registry().get("onnxrun.DropoutStep");
    node.op = node.info->make();
    set_attribute(node, "seed", static_cast<int64_t>(modes.seed));
    set_attribute(node, "node", number);
    node.inputs[2] = modes.step;
  }
  if (!modes.dropout) return;
  node.outputs.resize(2, no_value);
  if (node.outputs[1] != no_value) return;
  node.outputs[1] = graph.add_value(graph.unique_name(graph.name_of(node.outputs[0]) + "::mask"));
  infer_node(graph, node);
}

// An operator that draws random numbers has a private form NAMEStep, which takes the step behind
// its own inputs.
void set_random(Graph& graph, Node& node, const TrainingModes& modes, int64_t number) {
  const OpSpec& spec = node.info->spec;
  if (!spec.domain.empty() || spec.name == "Dropout" || modes.step == no_value || has_seed(node)) {
    return;
  }
  const OpInfo* stepped = graph.registry().find(private_domain, std::string(spec.name) + "Step");
  if (!stepped) return;
  node.inputs.resize(spec.inputs.size(), no_value);
  node.inputs.push_back(modes.step);
  Attributes attributes = attributes_of(node);
  attributes["seed"] = static_cast<int64_t>(modes.seed);
  attributes["node"] = number;
  node.info = stepped;
  node.op = stepped->make();
  set_attributes(node, attributes);
  infer_node(graph, node);
}

// running = momentum * old + (1 - momentum) * batch; PyTorch's batch variance is n / (n - 1) times
// the standard's, so the update is stretched by that factor around momentum * old.
ValueId unbiased(GraphBuilder& b, ValueId x, ValueId old, ValueId updated, float momentum) {
  ValueId shape = b.shape_of(x);
  ValueId channels = b.slice(shape, 0, 1, 2);
  ValueId size = b.add("Size", {x});
  DType dtype = b.dtype(updated);
  ValueId n = b.cast(b.add("Div", {size, b.squeeze(channels, {0})}), DType::Float64);
  ValueId one = b.scalar(1, DType::Float64);
  ValueId factor = b.cast(b.add("Div", {n, b.add("Sub", {n, one})}), dtype);
  ValueId kept = b.add("Mul", {old, b.scalar(momentum, dtype)});
  ValueId batch = b.add("Sub", {updated, kept});
  return b.add("Add", {kept, b.add("Mul", {batch, factor})});
}

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

}  // namespace

std::vector<RunningStatistic> set_training_modes(Graph& graph, const TrainingModes& modes) {
  std::vector<RunningStatistic> moving;
  std::set<ValueId> taken;
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    auto number = static_cast<int64_t>(graph.nodes.size());
    set_body_modes(graph, node, modes, number);
    if (is(node, "Dropout")) set_dropout(graph, node, modes, number);
    set_random(graph, node, modes, number);
    if (!is(node, "BatchNormalization")) {
      graph.nodes.push_back(std::move(node));
      continue;
    }
    set_attribute(node, "training_mode", int64_t{modes.batch_statistics});
    if (!modes.batch_statistics) {
      node.outputs.resize(1);
      graph.nodes.push_back(std::move(node));
      continue;
    }
    while (node.outputs.size() < 3) {
      ValueId stat = node.inputs[node.outputs.size() + 2];
      node.outputs.push_back(graph.add_value(graph.unique_name(graph.name_of(stat) + "::next")));
    }
    infer_node(graph, node);
    ValueId x = node.inputs[0], mean = node.inputs[3], var = node.inputs[4];
    ValueId next_mean = node.outputs[1], next_var = node.outputs[2];
    float momentum = attribute_or(node, "momentum", 0.9f);
    graph.nodes.push_back(std::move(node));
    if (modes.unbiased_variance) {
      GraphBuilder builder(graph, "train/");
      next_var = unbiased(builder, x, var, next_var, momentum);
    }
    // A tensor that two nodes share as statistics follows the first of them.
    auto move = [&](ValueId in, ValueId out) {
      if (graph.initializers.count(in) && graph.initializers.at(in).stored >= 0 &&
          taken.insert(in).second) {
        moving.push_back({in, out});
      }
    };
    move(mean, next_mean);
    move(var, next_var);
  }
  return moving;
}

}  // namespace onnxrun
