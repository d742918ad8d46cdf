// Parts of graphs as text, JSON and pictures.
#pragma once

#include <map>
#include <string>
#include <vector>
#include "formats/json.h"

#include "graph/graph.h"

namespace onnxrun::tool {

// "  NAME  TYPE", a line each.
std::string value_lines(const Graph& graph, const std::vector<ValueId>& ids);
Json values_json(const Graph& graph, const std::vector<ValueId>& ids);

// Columns as wide as their widest cell, each row indented.
std::string table(const std::vector<std::vector<std::string>>& rows);

// How many nodes of each operator there are, bodies included.
std::map<std::string, int64_t> operator_counts(const Graph& graph);

// "Gemm '/fc/Gemm' (x, w, b) -> y"
std::string node_line(const Graph& graph, const Node& node);
// Everything about a node, over several lines.
std::string node_text(const Graph& graph, const Node& node);
Json node_json(const Graph& graph, const Node& node);

// Name and type of every value that is in use, inputs and initializers first.
std::vector<std::pair<std::string, std::string>> value_types(const Graph& graph);

struct WeightStatistics {
  double min = 0, max = 0, mean = 0, deviation = 0;  // of the finite elements
  int64_t not_finite = 0;
};
WeightStatistics statistics(const Tensor& t);
Json statistics_json(const WeightStatistics& s);

// The graph in Graphviz's language.
std::string to_dot(const Graph& graph);

}  // namespace onnxrun::tool
