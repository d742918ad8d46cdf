// Random numbers inside subgraphs.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// True if the graph, or a body in it, has a node that draws random numbers without a seed of
// its own.
bool draws_numbers(const Graph& graph);

// Hands `step`, a scalar int64 of `graph`, to the bodies of an If, Loop or Scan that is about to be
// appended to it, made different for every node (by `number`) and every iteration. Returns what
// stands for it in each body: no_value for other operators. A gradient that computes a body again
// thus finds the numbers of the first time.
std::vector<ValueId> hand_in_step(Graph& graph, Node& node, ValueId step, int64_t number);

// Throws Unsupported if a body draws random numbers: standard operators cannot repeat them.
void reject_body_draws(const Graph& graph);

}  // namespace onnxrun
