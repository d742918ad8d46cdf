#include "graph_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "graph_view.h"
#include "messages.h"
#include "node_cost.h"

namespace onnxrun::tool {

namespace {

struct Line {
  std::string name, op;
  std::vector<std::string> outputs;
  int64_t params = 0;
  NodeCost cost;
};

std::vector<Line> lines_of(const Graph& graph) {
  std::map<size_t, std::vector<ValueId>> stored = initializers_by_node(graph);
  std::vector<Line> lines;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    Line line;
    line.name = frame_of(graph, node).name;
    line.op = node.info->qualified_name();
    for (ValueId v : node.outputs) {
      if (v != no_value) line.outputs.push_back(graph.value(v).type.to_string());
    }
    for (ValueId v : stored[n]) line.params += graph.initializers.at(v).value.size();
    line.cost = cost_of(graph, node);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string shown(std::optional<int64_t> value) { return value ? std::to_string(*value) : "?"; }

std::string totals_text(const Graph& graph) {
  int64_t all = 0, trainable = 0, bytes = 0, trainable_bytes = 0;
  for (const auto& [id, init] : graph.initializers) {
    all += init.value.size();
    bytes += init.value.bytes();
    if (init.role != Role::Parameter) continue;
    trainable += init.value.size();
    trainable_bytes += init.value.bytes();
  }
  auto line = [](const char* what, int64_t numbers, int64_t bytes_) {
    return fmt::format("{} params: {} ({})\n", what, numbers,
                       short_number(static_cast<double>(bytes_), "B"));
  };
  return line("total", all, bytes) + line("trainable", trainable, trainable_bytes) +
         line("other", all - trainable, bytes - trainable_bytes);
}

}  // namespace

std::string summary_text(const Graph& graph) {
  std::vector<std::vector<std::string>> rows = {{"node", "op", "output", "params", "flops"}};
  for (const Line& line : lines_of(graph)) {
    rows.push_back({without_controls(line.name), line.op,
                    fmt::format("{}", fmt::join(line.outputs, ", ")), std::to_string(line.params),
                    shown(line.cost.flops)});
  }
  return "summary:\n" + table(rows) + totals_text(graph);
}

std::string cost_text(const Graph& graph) {
  std::vector<Line> lines = lines_of(graph);
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.cost.flops.value_or(-1) > b.cost.flops.value_or(-1);
  });
  auto total = static_cast<double>(std::max<int64_t>(cost_of(graph).flops, 1));
  std::vector<std::vector<std::string>> rows = {
      {"node", "op", "flops", "%", "bytes", "output bytes", "params"}};
  for (const Line& line : lines) {
    double share = 100 * static_cast<double>(line.cost.flops.value_or(0)) / total;
    rows.push_back({without_controls(line.name), line.op, shown(line.cost.flops),
                    fmt::format("{:.1f}", share), shown(line.cost.bytes),
                    shown(line.cost.output_bytes), std::to_string(line.params)});
  }
  return "cost:\n" + table(rows);
}

Json summary_json(const Graph& graph) {
  Json list = Json::array();
  auto number = [](std::optional<int64_t> value) { return value ? Json(*value) : Json(); };
  for (const Line& line : lines_of(graph)) {
    list.push_back(Json{{"name", line.name},
                        {"op", line.op},
                        {"outputs", line.outputs},
                        {"params", line.params},
                        {"flops", number(line.cost.flops)},
                        {"bytes", number(line.cost.bytes)},
                        {"output_bytes", number(line.cost.output_bytes)}});
  }
  return list;
}

}  // namespace onnxrun::tool
