// The data of a training: what trains, what validates, what tests.
#pragma once

#include <optional>

#include "fit/learning_task.h"
#include "onnxrun/fit.h"

namespace onnxrun {

struct DataParts {
  ModelData training;
  std::optional<ModelData> validation, test;
  Standardizers standardizers;  // fitted on the training part

  std::vector<ModelData*> all();
  // Null if there is no such part.
  const ModelData* find(Fit::Part part) const;
};

// Throws Usage for options that contradict each other, BadInput for data that do not fit.
DataParts make_parts(const Graph& graph, const NamedTensors& data, const FitOptions& options,
                     const std::vector<FeedTarget>& targets);

}  // namespace onnxrun
