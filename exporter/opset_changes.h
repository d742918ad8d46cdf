// Which opsets a node of today's form is valid in.
#pragma once

#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// Older opsets are not written: operators took their present form up to it.
inline constexpr int oldest_written_opset = 18;

// What the version `since` of an operator of ai.onnx brought. A node that uses none of it is the
// same node in the opsets before.
struct OpsetChange {
  std::string_view op;
  int since = 0;
  bool form = false;  // every node depends on it: the operator is new or looks different
  DTypeSet types;     // element types that are new
  int inputs = 0;     // how many there were before
  int outputs = 0;
  // Attributes that are new ("block_size"), values of older ones ("mode=wrap").
  std::vector<std::string_view> uses = {};
  std::string_view unless = {};  // an attribute whose presence means the old `types` rule
};

// By operator, then ascending.
const std::vector<OpsetChange>& opset_changes();

// The oldest opset of the operator's domain, from oldest_written_opset on, in which the node is
// valid and means the same.
int oldest_opset(const Graph& graph, const Node& node, const Attributes& attributes);

}  // namespace onnxrun
