// What nodes compute and move, from the shapes of their values.
//
// A floating-point operation is an addition, a multiplication or another function of a number: a
// product of matrices [m,k] and [k,n] is 2 m k n of them, an element of a function one. Operators
// that only move elements, and integer work on shapes, count none. Bytes are what a node reads and
// writes if every input and output goes through memory once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace onnxrun::tool {

// Nothing where a shape or a number of iterations is not known. Numbers that are too large for 64
// bits are INT64_MAX.
struct NodeCost {
  std::optional<int64_t> flops, bytes;
  std::optional<int64_t> output_bytes;
};
// Bodies count as often as they run, of an If the costlier one.
NodeCost cost_of(const Graph& graph, const Node& node);

struct GraphCost {
  int64_t flops = 0, bytes = 0;
  int64_t unknown = 0;  // nodes that are left out
};
GraphCost cost_of(const Graph& graph);

// Initializers by the node that computes with them: through nodes that make one tensor of another,
// each initializer by its first use; shapes, axes and other settings are left out. Node positions
// of `graph`; nodes with initializers alone as inputs have none.
std::map<size_t, std::vector<ValueId>> initializers_by_node(const Graph& graph);

// Three digits and a unit: "1.5 GB" for 1.5e9 and "B".
std::string short_number(double value, const std::string& unit);

}  // namespace onnxrun::tool
