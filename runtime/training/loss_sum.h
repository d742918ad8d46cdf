// All losses of a training, as one number.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "training/loss.h"
#include "training/training_graph.h"

namespace onnxrun {

// What losses read beside the model's own inputs and outputs: targets, then sample weights.
struct LossInput {
  std::string name;  // "target"; of several losses "target::OUTPUT"; an input of a loss graph
  Type type;
  ValueId value = no_value;  // in the graph it was added to
};

// The inputs of all losses, each once. Types are those that the options give, else what the losses
// say. Throws Usage for outputs that are not there, names that are no loss, losses that cannot be
// added up.
std::vector<LossInput> loss_inputs(const Graph& model, const TrainingOptions& options);

// Sets the types of targets and sample weights from their lengths, by loss_inputs(), -1 for those
// that vary. Throws Usage for a name that no loss reads.
void declare_targets(const Graph& model, TrainingOptions& options,
                     const std::map<std::string, Dims>& lengths);

// The name of the target of loss number `k`; "" if it has none or is a graph.
std::string target_name(const TrainingOptions& options, size_t k);

// Means of batches and sums of batches cannot be told apart once they are added. Throws Usage for
// losses that differ.
Reduction reduction_of(const std::vector<LossOptions>& losses);

// The model output that each loss reads, in their order, each once.
std::vector<ValueId> loss_outputs(const Graph& model, const TrainingOptions& options);

struct LossNodes {
  ValueId total = no_value;
  std::vector<ValueId> terms;  // each loss without its weight; none if the sum is it
};

// Adds loss_inputs() to a model's inputs, under names that are free.
std::vector<LossInput> add_loss_inputs(Graph& graph, const TrainingOptions& options);

// Emits all losses into a graph that has these inputs and the model's outputs.
LossNodes add_losses(GraphBuilder& builder, const TrainingOptions& options,
                     const std::vector<LossInput>& inputs);

}  // namespace onnxrun
