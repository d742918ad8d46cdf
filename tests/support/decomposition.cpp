#include "support/decomposition.h"

#include <algorithm>
#include <functional>

#include "builtin_ops.h"
#include "passes/decompose.h"
#include "plan/execution.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

bool decomposes(const Node& node) {
  return node.info->spec.domain == private_domain && node.info->spec.decomposes;
}

// Integers are shapes and the like: they stay known.
std::vector<Tensor> run_decomposed(const OpRun& run, const std::function<bool(size_t)>& symbolic) {
  Graph graph(builtin_ops());
  std::vector<ValueId> inputs;
  std::vector<Tensor> feeds;
  std::vector<Type> types;
  for (const Tensor& t : run.inputs) {
    std::string name = "in" + std::to_string(inputs.size());
    if (!t.defined()) {
      inputs.push_back(no_value);
    } else if (is_integer(t.dtype())) {
      inputs.push_back(graph.add_initializer(name, t));
    } else {
      Shape shape = to_shape(t.dims());
      for (size_t i = 0; symbolic(inputs.size()) && i < shape.size(); ++i) {
        if (i != 1) shape[i] = Dim::symbol(name + "_" + std::to_string(i));
      }
      inputs.push_back(graph.add_input(name, Type::tensor(t.dtype(), shape)));
      feeds.push_back(t);
      types.push_back(Type::tensor(t.dtype(), to_shape(t.dims())));
    }
  }
  NodeOptions options;
  options.attributes = run.attributes;
  graph.outputs = GraphBuilder(graph).add_n(run.op, inputs, run.outputs, options);
  const OpInfo* info = graph.nodes[0].info;
  decompose(graph, [&](const Node& n) { return n.info == info || decomposes(n); });
  verify(graph);
  infer(graph);
  Execution execution(Plan::compile(graph, types));
  for (size_t i = 0; i < feeds.size(); ++i) execution.bind_input(i, feeds[i]);
  execution.run(RunControl());
  std::vector<Tensor> results;
  for (size_t k = 0; k < graph.outputs.size(); ++k) results.push_back(execution.output(k).tensor);
  return results;
}

}  // namespace

void expect_decomposes(const OpRun& run, double tolerance,
                       const std::optional<std::vector<size_t>>& symbolic) {
  record(Tried::Decomposition, run.op);
  std::vector<Tensor> expected = run_op(run);
  auto compare = [&](const char* how, const std::function<bool(size_t)>& which) {
    std::vector<Tensor> actual = run_decomposed(run, which);
    for (size_t k = 0; k < expected.size(); ++k) {
      expect_close(actual[k], expected[k], tolerance, tolerance, run.op + how);
    }
  };
  compare(" decomposed", [](size_t) { return false; });
  if (symbolic && symbolic->empty()) return;
  compare(" decomposed, symbolic", [&](size_t i) {
    return !symbolic || std::find(symbolic->begin(), symbolic->end(), i) != symbolic->end();
  });
}

}  // namespace onnxrun::testing
