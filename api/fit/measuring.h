// What a loss asks of graphs and metrics.
#pragma once

#include <cstdint>

#include "fit/learning_task.h"
#include "training/metrics.h"
#include "training/training_graph.h"

namespace onnxrun {

LossOptions loss_options(const LearningTask& task, const LossChoice& choice);

// Output, loss and the type of the targets of `data`.
TrainingOptions training_options(const Graph& graph, const LearningTask& task,
                                 const LossChoice& choice, const ModelData& data,
                                 int64_t batch_size);

// Metrics take for classes what the loss takes for them.
MetricOptions metric_options(const Graph& graph, const LearningTask& task, const LossChoice& choice,
                             const ModelData& data, int64_t batch_size);

}  // namespace onnxrun
