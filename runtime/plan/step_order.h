// In which order a plan runs a graph's nodes, and what it checks before it moves state.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// Positions of nodes, in the order of the graph.
struct StepOrder {
  std::vector<size_t> head;    // what outputs and checks need
  std::vector<size_t> commit;  // what only state depends on, run when all checks are passed
  // Values that must be finite when the head has run.
  std::vector<ValueId> guards;
  // Of each node, whether it is one to commit whose results are guarded: it is asked before whether
  // they are finite (ChecksAhead), so that they may be written over the old state.
  std::vector<bool> is_checked_ahead;
};

// Without `may_check_ahead` whatever is guarded is in the head. Lengths have to be inferred.
StepOrder order_steps(const Graph& graph, bool may_check_ahead);

}  // namespace onnxrun
