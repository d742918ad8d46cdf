// What to learn from a data set: the loss, and the target it compares with.
#pragma once

#include <optional>
#include <string>

#include "fit/loss_choice.h"
#include "fit/model_data.h"

namespace onnxrun {

struct LearningTask {
  ChosenLoss loss;
  std::optional<FeedTarget> target;  // none for the model's own loss
  // A sample may be of several classes or of none: its elements are classes each of their own.
  bool independent = false;
  std::optional<int64_t> class_axis = {};  // what the choice says, or the shapes tell
};

// From the choice of a loss and of a target. A model whose output is a scalar brings its loss along
// if the data have no target and no loss is asked for. Throws BadInput, Usage.
LearningTask choose_task(const Graph& graph, const NamedTensors& arrays, const FeedOptions& feed,
                         const LossChoice& loss);

// Lengths of the target that hold for every batch of `batch_size`, -1 for those that vary.
std::optional<Dims> target_dims(const ModelData& data, int64_t batch_size);

}  // namespace onnxrun
