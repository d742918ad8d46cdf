// What to learn from a data set: the losses, and the targets they compare with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fit/class_names.h"
#include "fit/loss_choice.h"
#include "fit/model_data.h"
#include "onnxrun/evaluate.h"
#include "training/training_graph.h"

namespace onnxrun {

struct LossTask {
  ChosenLoss chosen;
  // A sample may be of several classes or of none: its elements are classes each of their own.
  bool independent = false;
  ClassNames classes = {};  // where the target names them
};

struct LearningTask {
  std::vector<LossTask> losses;
  std::vector<FeedTarget> targets;  // what the losses read beside the model, as loss_inputs()
  bool sample_weights = false;

  std::vector<LossOptions> loss_options() const;
  // The losses alone.
  TrainingOptions training_options() const;
};

// From what is asked of the losses (names that are empty are chosen) and of the targets. A model
// whose output is a scalar brings its loss along if the data have no target and no loss is asked
// for. Labels that are names stand for the classes that the model remembers, if it does; where it
// `learns`, for their own if the model does not know them all. Throws BadInput, Usage.
LearningTask choose_task(const Graph& graph, const NamedTensors& arrays, const FeedOptions& feed,
                         std::vector<LossOptions> losses, bool learns = false);

// Lengths of targets and sample weights that hold for every batch of `batch_size`, by name, -1 for
// those that vary.
std::map<std::string, Dims> target_dims(const ModelData& data, int64_t batch_size);

// What was chosen and done, for people.
void describe(TaskSummary& summary, const LearningTask& task, const ModelData& data,
              int64_t batch_size);

}  // namespace onnxrun
