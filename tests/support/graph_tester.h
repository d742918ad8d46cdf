// Checks of whole graphs, for operators that do not stand alone: those with subgraphs, and those on
// sequences and optionals.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

// The outputs, which are tensors like the inputs.
std::vector<Tensor> run_graph(const Graph& graph, const std::vector<Tensor>& inputs,
                              int64_t max_iterations = 1000);

// Compares the gradient of a weighted sum of all double outputs with respect to all double inputs
// with central differences; with second_order that gradient's, too.
void check_graph_gradient(const Graph& graph, const std::vector<Tensor>& inputs,
                          bool second_order = true);

// Compares the graph with itself after every operator called `op` has been decomposed.
void expect_graph_decomposes(const Graph& graph, const std::vector<Tensor>& inputs,
                             const std::string& op, double tolerance = 1e-12);

}  // namespace onnxrun::testing
