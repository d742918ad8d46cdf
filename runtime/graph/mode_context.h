// What an operator that behaves in training as it does not in inference sees of its node.
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

// For Op::set_mode. The node's predecessors are in the graph; it follows itself when the method is
// done, or before, when place() is called.
class ModeContext {
 public:
  // `number` tells the nodes of a graph apart, which draw independent random numbers.
  ModeContext(Graph& graph, Node& node, const TrainingModes& modes, int64_t number,
              std::vector<RunningStatistic>& moving)
      : graph_(graph), node_(node), modes_(modes), number_(number), moving_(moving) {}

  Graph& graph() { return graph_; }
  // Not after place().
  Node& node() { return node_; }
  const TrainingModes& modes() const { return modes_; }
  int64_t number() const { return number_; }

  // Appends the node, so that others can be emitted behind it.
  void place() {
    if (!placed_) graph_.nodes.push_back(std::move(node_));
    placed_ = true;
  }
  // `in` becomes `out` after a step.
  void moves(ValueId in, ValueId out) { moving_.push_back({in, out}); }

 private:
  Graph& graph_;
  Node& node_;
  const TrainingModes& modes_;
  int64_t number_;
  std::vector<RunningStatistic>& moving_;
  bool placed_ = false;
};

}  // namespace onnxrun
