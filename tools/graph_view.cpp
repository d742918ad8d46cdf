#include "graph_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "formats/print.h"
#include "graph/node_attributes.h"

namespace onnxrun::tool {

static std::string name_or_nothing(const Graph& graph, ValueId v) {
  return v == no_value ? "_" : graph.name_of(v);
}

static std::string joined_names(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (ValueId v : ids) text += (text.empty() ? "" : ", ") + name_or_nothing(graph, v);
  return text;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line = " ";
    for (size_t c = 0; c < row.size(); ++c) line += fmt::format(" {:<{}} ", row[c], widths[c]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string value_lines(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::vector<std::string>> rows;
  for (ValueId v : ids) rows.push_back({graph.name_of(v), graph.value(v).type.to_string()});
  return table(rows);
}

Json values_json(const Graph& graph, const std::vector<ValueId>& ids) {
  Json list = Json::array();
  for (ValueId v : ids) {
    const Type& type = graph.value(v).type;
    Json entry = {{"name", graph.name_of(v)}, {"type", type.to_string()}};
    if (type.is_tensor()) entry["dtype"] = to_string(type.dtype);
    if (type.is_tensor() && type.shape) {
      Json shape = Json::array();
      for (const Dim& d : *type.shape) {
        if (d.is_known()) {
          shape.push_back(d.value());
        } else {
          shape.push_back(d.to_string());
        }
      }
      entry["shape"] = std::move(shape);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

static void count_operators(const Graph& graph, std::map<std::string, int64_t>& counts) {
  for (const Node& node : graph.nodes) {
    ++counts[node.info->qualified_name()];
    for (const Graph& body : node.bodies) count_operators(body, counts);
  }
}

std::map<std::string, int64_t> operator_counts(const Graph& graph) {
  std::map<std::string, int64_t> counts;
  count_operators(graph, counts);
  return counts;
}

std::string node_line(const Graph& graph, const Node& node) {
  return fmt::format("{}{} ({}) -> {}", node.info->qualified_name(),
                     node.name.empty() ? "" : " '" + node.name + "'",
                     joined_names(graph, node.inputs), joined_names(graph, node.outputs));
}

std::string node_text(const Graph& graph, const Node& node) {
  const OpSpec& spec = node.info->spec;
  std::string text = fmt::format("{} '{}': {}\n", node.info->qualified_name(), node.name, spec.doc);
  auto values = [&](const char* title, const std::vector<ValueId>& ids) {
    text += fmt::format("{}:\n", title);
    std::vector<std::vector<std::string>> rows;
    for (ValueId v : ids) {
      if (v != no_value) rows.push_back({graph.name_of(v), graph.value(v).type.to_string()});
    }
    text += table(rows);
  };
  values("inputs", node.inputs);
  values("outputs", node.outputs);
  Attributes attributes = attributes_of(node);
  if (!attributes.empty()) text += "attributes:\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : attributes) rows.push_back({name, to_string(value)});
  text += table(rows);
  for (size_t k = 0; k < node.bodies.size(); ++k) {
    text += fmt::format("{}:\n{}", spec.bodies[k], print(node.bodies[k]));
  }
  return text;
}

Json node_json(const Graph& graph, const Node& node) {
  auto names = [&](const std::vector<ValueId>& ids) {
    Json list = Json::array();
    for (ValueId v : ids) list.push_back(v == no_value ? "" : graph.name_of(v));
    return list;
  };
  Json attributes = Json::object();
  for (const auto& [name, value] : attributes_of(node)) {
    attributes[name] = to_string(value);
  }
  return {{"name", node.name},
          {"op", node.info->qualified_name()},
          {"inputs", names(node.inputs)},
          {"outputs", names(node.outputs)},
          {"attributes", attributes}};
}

std::vector<std::pair<std::string, std::string>> value_types(const Graph& graph) {
  std::vector<std::pair<std::string, std::string>> list;
  auto add = [&](ValueId v) {
    if (v != no_value) list.emplace_back(graph.name_of(v), graph.value(v).type.to_string());
  };
  for (ValueId v : graph.inputs) add(v);
  for (const auto& [v, init] : graph.initializers) add(v);
  for (const Node& node : graph.nodes) std::for_each(node.outputs.begin(), node.outputs.end(), add);
  return list;
}

WeightStatistics statistics(const Tensor& t) {
  WeightStatistics s;
  if (t.dtype() == DType::String || is_complex(t.dtype())) return s;
  std::vector<double> values = to_doubles(t);
  s.not_finite =
      std::count_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return s;
  auto [low, high] = std::minmax_element(values.begin(), values.end());
  s.min = *low;
  s.max = *high;
  auto n = static_cast<double>(values.size());
  for (double v : values) s.mean += v / n;
  for (double v : values) s.deviation += (v - s.mean) * (v - s.mean) / n;
  s.deviation = std::sqrt(s.deviation);
  return s;
}

Json statistics_json(const WeightStatistics& s) {
  return {{"min", s.min},
          {"max", s.max},
          {"mean", s.mean},
          {"deviation", s.deviation},
          {"not_finite", s.not_finite}};
}

std::string to_dot(const Graph& graph) {
  std::string text = "digraph model {\n  node [shape=box];\n";
  std::vector<int> producers = graph.producers();
  auto source = [&](ValueId v) {
    int node = producers[static_cast<size_t>(v)];
    return node >= 0 ? fmt::format("n{}", node) : fmt::format("v{}", v);
  };
  std::set<ValueId> used;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::string label = json_string(node.info->qualified_name());
    text += fmt::format("  n{} [label={}, tooltip={}];\n", n, label, json_string(node.name));
    for (ValueId v : node.inputs) {
      if (v == no_value) continue;
      used.insert(v);
      text += fmt::format("  {} -> n{} [label={}];\n", source(v), n,
                          json_string(graph.value(v).type.to_string()));
    }
  }
  for (ValueId v : used) {
    if (producers[static_cast<size_t>(v)] >= 0) continue;
    bool stored = graph.initializers.count(v) > 0;
    text += fmt::format("  v{} [label={}, shape={}];\n", v, json_string(graph.name_of(v)),
                        stored ? "note" : "ellipse");
  }
  for (size_t k = 0; k < graph.outputs.size(); ++k) {
    ValueId v = graph.outputs[k];
    text += fmt::format("  o{} [label={}, shape=ellipse];\n  {} -> o{};\n", k,
                        json_string(graph.name_of(v)), source(v), k);
  }
  return text + "}\n";
}

}  // namespace onnxrun::tool
