#include <fmt/format.h>

#include "graph/graph.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

std::string reference(const Graph& graph, ValueId id) {
  return id == no_value ? "_" : "%" + graph.name_of(id);
}

std::string list(const Graph& graph, const std::vector<ValueId>& ids, bool types) {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    text += (i ? ", " : "") + reference(graph, ids[i]);
    if (types && ids[i] != no_value) text += ": " + graph.value(ids[i]).type.to_string();
  }
  return text;
}

void print_graph(const Graph& graph, const std::string& indent, std::string& out);

void print_node(const Graph& graph, const Node& node, const std::string& indent, std::string& out) {
  std::string attributes;
  for (const auto& [name, value] : attributes_of(node)) {
    attributes += fmt::format("{}{}={}", attributes.empty() ? " {" : ", ", name, to_string(value));
  }
  if (!attributes.empty()) attributes += "}";
  out += fmt::format("{}{} = {}({}){}\n", indent, list(graph, node.outputs, true),
                     node.info->qualified_name(), list(graph, node.inputs, false), attributes);
  for (size_t k = 0; k < node.bodies.size(); ++k) {
    out += fmt::format("{}  {}:\n", indent, node.info->spec.bodies[k]);
    print_graph(node.bodies[k], indent + "    ", out);
  }
}

void print_graph(const Graph& graph, const std::string& indent, std::string& out) {
  out += fmt::format("{}inputs: {}\n", indent, list(graph, graph.inputs, true));
  for (const auto& [id, init] : graph.initializers) {
    out += fmt::format("{}{} : {} {}{}\n", indent, to_string(init.role), reference(graph, id),
                       init.value.type_text(), init.reason.empty() ? "" : " (" + init.reason + ")");
  }
  for (const Node& node : graph.nodes) print_node(graph, node, indent, out);
  for (const StateBinding& s : graph.state) {
    out +=
        fmt::format("{}state: {} <- {}\n", indent, reference(graph, s.in), reference(graph, s.out));
  }
  out += fmt::format("{}outputs: {}\n", indent, list(graph, graph.outputs, true));
}

}  // namespace

std::string print(const Graph& graph) {
  std::string out;
  print_graph(graph, "", out);
  return out;
}

}  // namespace onnxrun
