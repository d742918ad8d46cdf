// From a model's graph to what machines run: once for all sessions and shapes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "passes/pass.h"

namespace onnxrun {

struct LowerOptions {
  // False leaves every node as the file has it.
  bool optimize = true;
  // Bytes that tensors made here (folded weights) may take together, those of the model not
  // counted. Nodes whose results have no room are left for the run.
  int64_t max_memory = INT64_MAX;
  PassOptions passes = {};
};

// A graph as plans are compiled from it, and the tensors that were made for it. Its initializers
// are constants that no caller feeds; what depends on them alone has been computed, whatever
// lengths the inputs will have. Immutable; plans of all signatures, and sessions of all threads,
// share it.
class MachineGraph {
 public:
  const Graph& graph() const { return graph_; }
  // Bytes of tensors that the model does not have.
  int64_t added_bytes() const { return added_bytes_; }
  // What each pass did.
  const std::vector<PassRecord>& records() const { return records_; }

 private:
  friend std::shared_ptr<const MachineGraph> lower(Graph graph, const LowerOptions& options);
  explicit MachineGraph(Graph graph) : graph_(std::move(graph)) {}

  Graph graph_;
  int64_t added_bytes_ = 0;
  std::vector<PassRecord> records_;
};

// What every use of a model's graph begins with: constants are folded, parameters left alone, nodes
// that nobody reads removed.
std::vector<Pass> portable_passes();

// Runs the machine passes. `graph` keeps nothing overridable: whoever feeds an initializer makes it
// an input before.
std::shared_ptr<const MachineGraph> lower(Graph graph, const LowerOptions& options = {});

}  // namespace onnxrun
