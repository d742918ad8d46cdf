// Constant folding.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

struct FoldOptions {
  // Also fold what depends on parameters and buffers; only right where nothing will train them.
  bool fold_parameters = false;
  // A result may have this many bytes, or twice its inputs' if that is more: folding must not blow
  // a small file up.
  int64_t max_bytes = 1 << 20;
  // All results together may have this many, and twice those of the initializers there are.
  int64_t max_total = 1 << 28;
  // But never more than this.
  int64_t max_added = INT64_MAX;
};

// Replaces nodes whose inputs are all known by their results, as initializers of the same values.
// Parameters and buffers stay what they are. Nodes that fail to compute stay, to fail when run.
// Returns the bytes of all results.
int64_t fold_constants(Graph& graph, const FoldOptions& options = {});

// Runs one node on tensors, outside any plan; returns its outputs. Throws what the operator throws,
// Limit where it needs more than `max_memory` bytes beside them.
std::vector<Tensor> evaluate(Graph& graph, Node& node, std::span<const Tensor* const> inputs,
                             int64_t max_memory = INT64_MAX);

}  // namespace onnxrun
