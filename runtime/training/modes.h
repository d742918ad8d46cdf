// Training behaviour of nodes that have one.
#pragma once

#include "graph/mode_context.h"

namespace onnxrun {

// Puts all nodes, in bodies too, into the modes asked for (Op::set_mode). Returns the statistics
// that move, for nodes of the main graph whose statistics are initializers; a tensor that two nodes
// share as statistics follows the first of them.
std::vector<RunningStatistic> set_training_modes(Graph& graph, const TrainingModes& modes);

// Lets every node that draws random numbers anew draw those that the seed decides, the same ones in
// each run, or others for every number of a `step` (a scalar int64 of the graph); all else stays in
// the mode it has. Nodes whose mode an input decides stay as they are.
void fix_draws(Graph& graph, uint64_t seed, ValueId step = no_value);

}  // namespace onnxrun
