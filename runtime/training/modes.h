// Training behaviour of nodes that have one.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

struct TrainingModes {
  bool batch_statistics = true;
  bool unbiased_variance = false;
  bool dropout = true;
  // Of all random numbers, where a node has no seed of its own; they also depend on the
  // number of the step, a scalar int64. Without one every run draws other numbers, and none can be
  // repeated.
  uint64_t seed = 0;
  ValueId step = no_value;
};

// A running statistic and the value that replaces it after a step.
struct RunningStatistic {
  ValueId in = no_value;
  ValueId out = no_value;
};

// Puts BatchNormalization, Dropout and random number nodes, in bodies too, into the modes asked
// for. Returns the statistics that move, for BatchNormalization nodes of the main graph whose
// statistics are initializers.
std::vector<RunningStatistic> set_training_modes(Graph& graph, const TrainingModes& modes);

}  // namespace onnxrun
