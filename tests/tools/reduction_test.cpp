#include "reduction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnx_exporter.h"
#include "onnx_importer.h"

namespace onnxrun::tool {
namespace {

// A chain of ten nodes with a branch: x -> Relu r0 -> Neg n0 -> ... -> Add y.
Model chain() {
  Graph graph(builtin_ops());
  GraphBuilder builder(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{3})), v = x;
  auto add = [&](const std::string& op, std::vector<ValueId> inputs, const std::string& name) {
    NodeOptions options;
    options.name = name;
    options.output_names = {name + "_out"};
    return builder.add_n(op, std::move(inputs), 1, std::move(options)).front();
  };
  for (int k = 0; k < 3; ++k) {
    v = add("Abs", {v}, "abs" + std::to_string(k));
    v = add("Exp", {v}, "exp" + std::to_string(k));
    v = add("Log", {v}, "log" + std::to_string(k));
  }
  graph.outputs = {add("Add", {v, x}, "sum")};
  auto read = std::make_shared<Graph>(
      import_model_bytes(export_graph(graph, {}), "", builtin_ops(), ImportOptions()));
  return Model(std::move(read));
}

NamedValues run(const Model& model, const NamedValues& inputs) {
  return Session(model).run(inputs);
}

bool has(const Model& model, const std::string& node) {
  const auto& nodes = model.graph().nodes;
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == node; });
}

// All values of the chain, as a run without mistakes has them.
NamedValues known(const Model& model, const NamedValues& inputs) {
  SessionOptions options;
  for (const Node& node : model.graph().nodes) {
    options.outputs.push_back(model.graph().name_of(node.outputs[0]));
  }
  NamedValues values = Session(model, options).run(inputs);
  values.insert(values.end(), inputs.begin(), inputs.end());
  return values;
}

const NamedValues inputs = {{"x", Tensor::of<float>({3}, {1, 2, 3})}};

// A runtime whose mistake needs two nodes that are not neighbours, as a wrong fusion does.
NamedValues wrong_fusion(const Model& model, const NamedValues& fed) {
  NamedValues values = run(model, fed);
  if (has(model, "exp1") && has(model, "abs2")) {
    values[0].second.tensor = values[0].second.tensor.clone();
    values[0].second.tensor.data<float>()[0] += 1;
  }
  return values;
}

TEST(ModelReduction, LeavesTheNodesThatFailTogether) {
  Model model = chain();
  Reduction reduction(model, known(model, inputs), wrong_fusion, run, {});
  auto reduced = reduction.reduce();
  ASSERT_TRUE(reduced);
  EXPECT_EQ(reduced->nodes_before, 10u);
  EXPECT_EQ(reduced->nodes,
            (std::vector<std::string>{"Exp node 'exp1'", "Log node 'log1'", "Abs node 'abs2'"}));
  // What is written fails by itself.
  Model part(std::make_shared<Graph>(
      import_model_bytes(reduced->bytes, "", builtin_ops(), ImportOptions())));
  EXPECT_EQ(part.graph().nodes.size(), 3u);
  EXPECT_FALSE(
      compare_values(wrong_fusion(part, reduced->inputs)[0].second, reduced->expected[0].second, {})
          .near);
}

TEST(ModelReduction, LeavesTheNodeThatThrows) {
  Model model = chain();
  auto throwing = [](const Model& part, const NamedValues& fed) {
    if (has(part, "log0")) throw Error(ErrorKind::Unsupported, "no Log today");
    return run(part, fed);
  };
  Reduction reduction(model, known(model, inputs), throwing, run, {});
  auto reduced = reduction.reduce();
  ASSERT_TRUE(reduced);
  EXPECT_EQ(reduced->nodes, std::vector<std::string>{"Log node 'log0'"});
  EXPECT_EQ(reduced->message, "no Log today");
}

TEST(ModelReduction, NothingWhereAllIsRight) {
  Model model = chain();
  EXPECT_FALSE(Reduction(model, known(model, inputs), run, run, {}).reduce());
}

// An end that was asked for is no failure of the model.
TEST(ModelReduction, EndsWhenItIsCancelled) {
  Model model = chain();
  auto cancelled = [](const Model&, const NamedValues&) -> NamedValues {
    throw Error(ErrorKind::Cancelled, "cancelled");
  };
  EXPECT_THROW(Reduction(model, known(model, inputs), cancelled, run, {}).reduce(), Error);
}

}  // namespace
}  // namespace onnxrun::tool
