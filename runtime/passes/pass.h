// Passes over graphs, and the one driver that runs them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// A rewriting of a graph that keeps what its outputs, its state and its guards compute.
struct Pass {
  std::string_view name;
  std::function<void(Graph&)> run;
};

// What a pass did.
struct PassRecord {
  std::string name;
  double seconds = 0;
  size_t nodes_before = 0, nodes_after = 0;  // of the graph itself, bodies not counted
};

struct PassOptions {
  // The name of the last pass to run; all of them if empty.
  std::string stop_after = {};
  // Check the graph after every pass (verify()); a graph that is broken is an Internal error that
  // names the pass.
#ifdef NDEBUG
  bool verify = false;
#else
  bool verify = true;
#endif
};

// Runs the passes in their order and says what each did. Throws Usage, naming the passes there are,
// if none is called `stop_after`.
std::vector<PassRecord> run_passes(Graph& graph, std::span<const Pass> passes,
                                   const PassOptions& options = {});

// One line a pass: name, nodes before and after, milliseconds.
std::string to_string(std::span<const PassRecord> records);

}  // namespace onnxrun
