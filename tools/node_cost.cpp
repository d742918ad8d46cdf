#include "node_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "graph/cost.h"

namespace onnxrun::tool {

namespace {

Count flops_of_bodies(const Graph& graph, const Node& node) {
  int64_t most = 0;
  Count all = 0;
  for (const Graph& body : node.bodies) {
    GraphCost cost = cost_of(body);
    if (cost.unknown > 0) return std::nullopt;
    most = std::max(most, cost.flops);
    all = all + cost.flops;
  }
  if (node.op->body_layout().once) return most;
  return most == 0 ? 0 : all * node.op->body_runs(CostContext(graph, node));
}

}  // namespace

NodeCost cost_of(const Graph& graph, const Node& node) {
  CostContext context(graph, node);
  Count inputs = 0, outputs = 0;
  for (ValueId v : node.inputs) {
    if (v != no_value) inputs = inputs + bytes_of(graph.value(v).type);
  }
  for (ValueId v : node.outputs) {
    if (v != no_value) outputs = outputs + bytes_of(graph.value(v).type);
  }
  Count flops = node.bodies.empty() ? node.op->operations(context) : flops_of_bodies(graph, node);
  Count moved = node.op->traits().view ? 0 : inputs + outputs;
  return {.flops = flops.value(), .bytes = moved.value(), .output_bytes = outputs.value()};
}

GraphCost cost_of(const Graph& graph) {
  GraphCost total;
  Count flops = 0, bytes = 0;
  for (const Node& node : graph.nodes) {
    NodeCost cost = cost_of(graph, node);
    if (!cost.flops || !cost.bytes) ++total.unknown;
    flops = flops + cost.flops.value_or(0);
    bytes = bytes + cost.bytes.value_or(0);
  }
  total.flops = *flops.value();
  total.bytes = *bytes.value();
  return total;
}

std::map<size_t, std::vector<ValueId>> initializers_by_node(const Graph& graph) {
  std::map<ValueId, std::vector<ValueId>> behind;  // initializers that a value is made of alone
  for (const auto& [id, init] : graph.initializers) behind[id] = {id};
  std::set<ValueId> seen;
  std::map<size_t, std::vector<ValueId>> result;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::vector<ValueId> stored;
    bool constant = !node.inputs.empty();
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      if (v == no_value || node.info->spec.role_of(i) == InputRole::Setting) continue;
      auto it = behind.find(v);
      constant = constant && it != behind.end();
      if (it != behind.end()) stored.insert(stored.end(), it->second.begin(), it->second.end());
    }
    if (constant && !stored.empty()) {
      for (ValueId v : node.outputs) behind[v] = stored;
      continue;
    }
    for (ValueId v : stored) {
      if (seen.insert(v).second) result[n].push_back(v);
    }
  }
  return result;
}

std::string short_number(double value, const std::string& of) {
  constexpr std::array units = {"", "k", "M", "G", "T", "P", "E"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}{}", value, units[unit], of);
}

}  // namespace onnxrun::tool
