#include "plan/blame.h"

#include <fmt/format.h>

#include <vector>

#include "graph/limited_product.h"
#include "graph/value_type.h"
#include "passes/decompose.h"
#include "plan/execution.h"
#include "plan/finite.h"

namespace onnxrun {

namespace {

bool is_fused(const Node& node) {
  if (node.info->spec.domain != private_domain) return false;
  return node.op->traits().elementwise || dynamic_cast<const LimitedProduct*>(node.op.get());
}

std::string text_of(const Graph& graph, const Node& node, size_t output) {
  return fmt::format("'{}' of {}", graph.name_of(node.outputs[output]), describe(graph, node));
}

// What the node was made of, all values being outputs.
Graph parts_of(const Graph& graph, const Node& node, std::span<const RuntimeValue* const> inputs) {
  Graph parts(graph.registry());
  Node copy = node;
  for (size_t i = 0; i < inputs.size(); ++i) {
    copy.inputs[i] = parts.add_input(graph.name_of(node.inputs[i]), type_of(*inputs[i]));
  }
  for (ValueId& v : copy.outputs) {
    if (v != no_value) v = parts.add_value(graph.name_of(v));
  }
  parts.nodes.push_back(std::move(copy));
  infer(parts);
  decompose(parts, is_fused);
  for (const Node& part : parts.nodes) parts.outputs.push_back(part.outputs[0]);
  return parts;
}

}  // namespace

std::string blamed_value(const Graph& graph, const Node& node,
                         std::span<const RuntimeValue* const> inputs, size_t output) {
  if (!is_fused(node)) return text_of(graph, node, output);
  const Graph parts = parts_of(graph, node, inputs);
  std::vector<Type> types;
  for (ValueId v : parts.inputs) types.push_back(parts.value(v).type);
  Execution execution(Plan::compile(parts, types, {.optimize = false}));
  for (size_t i = 0; i < inputs.size(); ++i) execution.bind_input(i, *inputs[i]);
  execution.run(RunControl());
  for (size_t n = 0; n < parts.nodes.size(); ++n) {
    if (!all_finite(execution.output(n).tensor)) return text_of(parts, parts.nodes[n], 0);
  }
  return text_of(graph, node, output);
}

}  // namespace onnxrun
