#include "fit/graph_def.h"

#include <algorithm>
#include <set>
#include <vector>

#include "fit/wire_fields.h"

namespace onnxrun {

namespace {

using fields::bytes_field;
using fields::integer_field;

// NodeDef, AttrValue and what they are made of.
constexpr int name_field = 1, op_field = 2, input_field = 3, attribute_field = 5;
constexpr int list_in_value = 1, text_in_value = 2, shape_in_list = 7;
constexpr int dim_in_shape = 2, unknown_rank_in_shape = 3, size_in_dim = 1;

std::string attribute(const std::string& name, const std::string& value) {
  return bytes_field(attribute_field, bytes_field(1, name) + bytes_field(2, value));
}

std::string shape_message(const Type& type) {
  if (!type.is_tensor() || !type.shape) return integer_field(unknown_rank_in_shape, 1);
  std::string message;
  for (const Dim& d : *type.shape) {
    message += bytes_field(dim_in_shape, integer_field(size_in_dim, d.is_known() ? d.value() : -1));
  }
  return message;
}

class GraphDef {
 public:
  explicit GraphDef(const Graph& graph) : graph_(graph), sources_(graph.value_count()) {}

  std::string write() {
    for (ValueId v : graph_.inputs) add_source(v, "Placeholder", graph_.name_of(v));
    for (const auto& [id, init] : graph_.initializers) {
      std::string name = graph_.name_of(id);
      std::replace(name.begin(), name.end(), '.', '/');
      add_source(id, init.role == Role::Constant ? "Const" : "Variable", name);
    }
    for (const Node& node : graph_.nodes) add_node(node);
    for (ValueId v : graph_.outputs) {
      std::string name = unique("output/" + graph_.name_of(v));
      add(name, "Output", {sources_[static_cast<size_t>(v)]}, {v});
    }
    // VersionDef.producer: one that knows today's attributes.
    return message_ + bytes_field(4, integer_field(1, 1000));
  }

 private:
  // Names may have letters, digits and "._-/", and each belongs to one node.
  std::string unique(const std::string& wanted) {
    std::string name;
    for (char c : wanted) {
      bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      bool starts = name.empty() || name.back() == '/';
      if (c == '/' && starts) continue;
      name += letter || c == '/' || (!starts && (c == '.' || c == '_' || c == '-')) ? c : '_';
      if (starts && name.back() == '_') name.back() = '.';
    }
    while (!name.empty() && name.back() == '/') name.pop_back();
    if (name.empty()) name = "node";
    std::string result = name;
    for (int n = 1; !names_.insert(result).second; ++n) result = name + "_" + std::to_string(n);
    return result;
  }

  void add(const std::string& name, const std::string& op, const std::vector<std::string>& inputs,
           const std::vector<ValueId>& outputs) {
    std::string node = bytes_field(name_field, name) + bytes_field(op_field, op);
    for (const std::string& input : inputs) {
      if (!input.empty()) node += bytes_field(input_field, input);
    }
    std::string shapes, types;
    for (ValueId v : outputs) {
      const Type& type = graph_.value(v).type;
      shapes += bytes_field(shape_in_list, shape_message(type));
      types += (types.empty() ? "" : ", ") + type.to_string();
    }
    node += attribute("_output_shapes", bytes_field(list_in_value, shapes));
    node += attribute("type", bytes_field(text_in_value, types));
    message_ += bytes_field(1, node);
  }

  void add_source(ValueId v, const std::string& op, const std::string& wanted) {
    std::string name = unique(wanted);
    sources_[static_cast<size_t>(v)] = name;
    add(name, op, {}, {v});
  }

  void add_node(const Node& node) {
    std::vector<ValueId> outputs;
    for (ValueId v : node.outputs) {
      if (v != no_value) outputs.push_back(v);
    }
    std::string wanted = node.name;
    if (wanted.empty() && !outputs.empty()) wanted = graph_.name_of(outputs[0]);
    std::string name = unique(wanted);
    std::vector<std::string> inputs;
    for (ValueId v : node.inputs) {
      if (v != no_value) inputs.push_back(sources_[static_cast<size_t>(v)]);
    }
    add(name, node.info->qualified_name(), inputs, outputs);
    for (size_t k = 0; k < outputs.size(); ++k) {
      sources_[static_cast<size_t>(outputs[k])] = k == 0 ? name : name + ":" + std::to_string(k);
    }
  }

  const Graph& graph_;
  std::vector<std::string> sources_;  // what gives each value
  std::set<std::string> names_;
  std::string message_;
};

}  // namespace

std::string graph_def(const Graph& graph) { return GraphDef(graph).write(); }

}  // namespace onnxrun
