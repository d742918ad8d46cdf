// Which operators a run of the tests has tried, for the contract test.
//
// With ONNXRUN_TESTED_OPERATORS=FILE in the environment the program writes at its end a line
// "WHAT OPERATOR" for each there. ctest gives every suite a file of its own and then runs the
// contract over all of them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "graph/graph.h"

namespace onnxrun::testing {

enum class Tried {
  Run,            // the kernel, static, dynamic, optimised, folded
  Gradient,       // against finite differences, or values from elsewhere
  Decomposition,  // the kernel against the decomposition
};

// `op` is a qualified name.
void record(Tried what, const std::string& op);
// Those operators of the graph for which `which` holds, in bodies too.
void record(Tried what, const Graph& graph, const std::function<bool(const Node&)>& which);

using TriedOperators = std::set<std::pair<Tried, std::string>>;

// What the files of a folder say.
TriedOperators read_tried(const std::string& folder);

}  // namespace onnxrun::testing
