#include "opset_changes.h"

#include <algorithm>

namespace onnxrun {

namespace {

bool contains(const DTypeSet& types, const Type& type) {
  if (type.is_tensor()) return type.dtype != DType::Undefined && types.contains(type.dtype);
  return type.element && contains(types, *type.element);
}

bool has_use(const Attributes& attributes, std::string_view use) {
  size_t equals = use.find('=');
  auto it = attributes.find(use.substr(0, equals));
  if (it == attributes.end()) return false;
  if (equals == std::string_view::npos) return true;
  const auto* text = std::get_if<std::string>(&it->second);
  return text && *text == use.substr(equals + 1);
}

bool depends_on(const OpsetChange& change, const Graph& graph, const Node& node,
                const Attributes& attributes) {
  if (change.form) return true;
  if (node.formal_inputs() > static_cast<size_t>(change.inputs) ||
      node.outputs.size() > static_cast<size_t>(change.outputs)) {
    return true;
  }
  for (std::string_view use : change.uses) {
    if (has_use(attributes, use)) return true;
  }
  if (!change.unless.empty() && attributes.count(change.unless)) return false;
  auto is_new = [&](ValueId v) {
    return v != no_value && contains(change.types, graph.value(v).type);
  };
  return std::any_of(node.inputs.begin(), node.inputs.end(), is_new) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), is_new);
}

}  // namespace

int oldest_opset(const Graph& graph, const Node& node, const Attributes& attributes) {
  int opset = oldest_written_opset;
  if (!node.info->spec.domain.empty()) return opset;
  for (const OpsetChange& change : opset_changes()) {
    if (change.op == node.info->spec.name && depends_on(change, graph, node, attributes)) {
      opset = std::max(opset, change.since);
    }
  }
  return opset;
}

}  // namespace onnxrun
