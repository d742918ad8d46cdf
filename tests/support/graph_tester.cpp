#include "support/graph_tester.h"

#include <cmath>

#include "passes/decompose.h"
#include "passes/gradient.h"
#include "plan/execution.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

bool needs_a_graph(const Graph& graph, const Node& node) {
  auto is_no_tensor = [&](ValueId v) { return v != no_value && !graph.value(v).type.is_tensor(); };
  return !node.bodies.empty() ||
         std::any_of(node.inputs.begin(), node.inputs.end(), is_no_tensor) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), is_no_tensor);
}

void record_graph(Tried what, const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (needs_a_graph(graph, node)) record(what, node.info->qualified_name());
    for (const Graph& body : node.bodies) record_graph(what, body);
  }
}

double weight(size_t output, int64_t i) {
  return std::cos(1.0 + static_cast<double>(i + 3 * static_cast<int64_t>(output)));
}

// Of the first outputs only: those of the function, not of its gradient.
double weighted_sum(const Graph& graph, const std::vector<Tensor>& inputs, size_t outputs) {
  double sum = 0;
  std::vector<Tensor> results = run_graph(graph, inputs);
  for (size_t k = 0; k < outputs; ++k) {
    if (results[k].dtype() != DType::Float64) continue;
    for (int64_t i = 0; i < results[k].size(); ++i) {
      sum += weight(k, i) * results[k].data<double>()[i];
    }
  }
  return sum;
}

std::vector<Seed> weights_of(Graph& graph, const std::vector<Tensor>& values) {
  std::vector<Seed> seeds;
  for (size_t k = 0; k < values.size(); ++k) {
    if (values[k].dtype() != DType::Float64) continue;
    Tensor cotangent(DType::Float64, values[k].dims());
    for (int64_t i = 0; i < cotangent.size(); ++i) cotangent.data<double>()[i] = weight(k, i);
    seeds.push_back(
        {graph.outputs[k], graph.add_initializer(graph.unique_name("cotangent"), cotangent)});
  }
  return seeds;
}

void expect_difference(const Graph& function, const std::vector<Tensor>& inputs, size_t input,
                       const Tensor& gradient) {
  for (int64_t i = 0; i < inputs[input].size(); ++i) {
    auto moved = inputs;
    auto at = [&](double by) {
      moved[input] = inputs[input].clone();
      moved[input].data<double>()[i] += by;
      return weighted_sum(function, moved, function.outputs.size());
    };
    double numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
    ASSERT_NEAR(gradient.data<double>()[i], numeric, 1e-7 * std::max(1.0, std::abs(numeric)))
        << "input " << input << " at " << i;
  }
}

}  // namespace

std::vector<Tensor> run_graph(const Graph& graph, const std::vector<Tensor>& inputs,
                              int64_t max_iterations) {
  record_graph(Tried::Run, graph);
  std::vector<Type> types;
  for (const Tensor& t : inputs) types.push_back(Type::tensor(t.dtype(), to_shape(t.dims())));
  Execution execution(Plan::compile(graph, types));
  for (size_t i = 0; i < inputs.size(); ++i) execution.bind_input(i, inputs[i]);
  RunControl control;
  control.max_loop_iterations = max_iterations;
  execution.run(control);
  std::vector<Tensor> results;
  for (size_t k = 0; k < graph.outputs.size(); ++k) results.push_back(execution.output(k).tensor);
  return results;
}

void check_graph_gradient(const Graph& function, const std::vector<Tensor>& inputs,
                          bool second_order) {
  record_graph(Tried::Gradient, function);
  Graph g = function;
  std::vector<Seed> seeds = weights_of(g, run_graph(function, inputs));
  std::vector<size_t> positions;
  std::vector<ValueId> wrt;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dtype() != DType::Float64) continue;
    positions.push_back(i);
    wrt.push_back(g.inputs[i]);
  }
  g.outputs = gradient(g, seeds, wrt);
  verify(g);
  std::vector<Tensor> gradients = run_graph(g, inputs);
  for (size_t w = 0; w < positions.size(); ++w) {
    expect_difference(function, inputs, positions[w], gradients[w]);
    if (::testing::Test::HasFatalFailure()) return;
  }
  if (second_order) check_graph_gradient(g, inputs, false);
}

void expect_graph_decomposes(const Graph& graph, const std::vector<Tensor>& inputs,
                             const std::string& op, double tolerance) {
  record(Tried::Decomposition, op);
  std::vector<Tensor> expected = run_graph(graph, inputs);
  Graph decomposed = graph;
  bool found = false;
  decompose(decomposed, [&](const Node& node) {
    bool is = node.info->qualified_name() == op;
    found |= is;
    return is;
  });
  EXPECT_TRUE(found) << "the graph has no " << op;
  verify(decomposed);
  std::vector<Tensor> actual = run_graph(decomposed, inputs);
  for (size_t k = 0; k < expected.size(); ++k) {
    expect_close(actual[k], expected[k], tolerance, tolerance, op + " decomposed");
  }
}

}  // namespace onnxrun::testing
