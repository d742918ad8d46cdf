// Passes that rewrite graphs: what they remove, what they leave, and that results stay.
#include <gtest/gtest.h>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/dead_nodes.h"
#include "passes/fold.h"
#include "passes/plain_forms.h"
#include "passes/remove_noops.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

// Operators by name, in order.
std::string operators(const Graph& graph) {
  std::string text;
  for (const Node& n : graph.nodes)
    text += (text.empty() ? "" : " ") + std::string(n.info->spec.name);
  return text;
}

TEST(FoldConstants, LeavesParametersAlone) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  ValueId w = graph.add_initializer("w", Tensor::of<float>({2}, {1, 2}), Role::Parameter);
  ValueId doubled = b.add("Mul", {w, b.scalar(2, DType::Float32)});
  ValueId constant = b.add("Add", {b.scalar(1, DType::Float32), b.scalar(2, DType::Float32)});
  graph.outputs = {b.add("Add", {b.add("Mul", {x, doubled}), constant})};
  fold_constants(graph);
  EXPECT_EQ(operators(graph), "Mul Mul Add");
  fold_constants(graph, {.fold_parameters = true});
  EXPECT_EQ(operators(graph), "Mul Add");
  expect_close(run_graph(graph, {Tensor::of<float>({2}, {1, 1})})[0],
               Tensor::of<float>({2}, {5, 7}));
}

TEST(FoldConstants, LeavesWhatFailsToTheRun) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId index = b.constant(Tensor::scalar<int64_t>(5));
  graph.outputs = {b.add("Gather", {b.ints({1, 2}), index})};
  fold_constants(graph);
  EXPECT_EQ(operators(graph), "Gather");
}

TEST(DeadNodes, GoWithTheirInitializers) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  b.add("Add", {x, b.scalar(2, DType::Float32)});
  graph.outputs = {b.add("Neg", {x})};
  remove_dead_nodes(graph);
  EXPECT_EQ(operators(graph), "Neg");
  EXPECT_TRUE(graph.initializers.empty());
}

TEST(RemoveNoops, KeepsOutputs) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  ValueId same = b.add("Identity", {b.cast(x, DType::Float32)});
  graph.outputs = {b.add("Neg", {same}), b.add("Identity", {x})};
  remove_noops(graph);
  EXPECT_EQ(operators(graph), "Neg Identity");
  EXPECT_EQ(graph.nodes[0].inputs[0], x);
}

// Plain forms of a graph give what it gave.
void expect_plain(const Graph& graph, const std::vector<Tensor>& inputs, const std::string& gone) {
  Graph plain = graph;
  use_plain_forms(plain);
  verify(plain);
  EXPECT_EQ(operators(plain).find(gone), std::string::npos) << operators(plain);
  std::vector<Tensor> expected = run_graph(graph, inputs), found = run_graph(plain, inputs);
  for (size_t k = 0; k < expected.size(); ++k) expect_close(found[k], expected[k], 1e-12, 1e-12);
}

TEST(PlainForms, OfNegativePads) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float64, Shape{3, 4}));
  graph.outputs = {b.add("Pad", {x, b.ints({-1, 2}), no_value, b.ints({1})}),
                   b.add("Pad", {x, b.ints({1, -1, -1, -2})})};
  expect_plain(graph, {random_tensor({3, 4}, 1)}, "nothing");
  use_plain_forms(graph);
  EXPECT_EQ(operators(graph), "Slice Pad Slice Pad");
}

TEST(PlainForms, OfRunningStatistics) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> in = {graph.add_input("x", Type::tensor(DType::Float64, Shape{4, 3, 5}))};
  std::vector<Tensor> values = {random_tensor({4, 3, 5}, 1)};
  for (const char* name : {"scale", "bias", "mean", "var"}) {
    in.push_back(graph.add_input(name, Type::tensor(DType::Float64, Shape{3})));
    values.push_back(random_tensor({3}, static_cast<uint32_t>(values.size() + 1), 0.5, 1.5));
  }
  NodeOptions options;
  options.attributes = {{"training_mode", int64_t{1}}, {"momentum", 0.75f}};
  graph.outputs = b.add_n("BatchNormalization", in, 3, options);
  expect_plain(graph, values, "BatchNormalization");
}

TEST(PlainForms, OfGroupsOfSeveralChannels) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float64, Shape{2, 4, 5, 5}));
  ValueId w = graph.add_input("w", Type::tensor(DType::Float64, Shape{4, 3, 3, 3}));
  ValueId bias = graph.add_input("b", Type::tensor(DType::Float64, Shape{6}));
  graph.outputs = {
      b.add("ConvTranspose", {x, w, bias}, {{"group", int64_t{2}}, {"strides", Ints{2, 1}}})};
  Tensor weights = random_tensor({4, 3, 3, 3}, 2);
  expect_plain(graph, {random_tensor({2, 4, 5, 5}, 1), weights, random_tensor({6}, 3)}, "nothing");
  use_plain_forms(graph);
  EXPECT_NE(operators(graph).find("ConvTranspose ConvTranspose Concat"), std::string::npos);
}

// Running sums along an axis of a matrix, from either end.
TEST(PlainForms, OfScansInAllDirections) {
  for (int64_t axis : {0, 1, -1, -2}) {
    for (int64_t direction : {0, 1}) {
      Graph graph(builtin_ops());
      GraphBuilder b(graph);
      ValueId x = graph.add_input("x", Type::tensor(DType::Float64, Shape{3, 3}));
      ValueId start = graph.add_input("start", Type::tensor(DType::Float64, Shape{3}));
      Graph body(builtin_ops());
      GraphBuilder inner(body);
      ValueId sum = body.add_input("sum", Type::tensor(DType::Float64, Shape{3}));
      ValueId row = body.add_input("row", Type::tensor(DType::Float64, Shape{3}));
      ValueId next = inner.add("Add", {sum, row});
      body.outputs = {next, inner.add("Identity", {next})};
      NodeOptions options;
      options.attributes = {{"num_scan_inputs", int64_t{1}},
                            {"scan_input_axes", Ints{axis}},
                            {"scan_input_directions", Ints{direction}},
                            {"scan_output_axes", Ints{axis}},
                            {"scan_output_directions", Ints{1 - direction}}};
      options.bodies.push_back(std::move(body));
      graph.outputs = b.add_n("Scan", {start, x}, 2, std::move(options));
      SCOPED_TRACE(axis * 10 + direction);
      expect_plain(graph, {random_tensor({3, 3}, 1), random_tensor({3}, 2)}, "nothing");
      use_plain_forms(graph);
      EXPECT_EQ(print(graph).find("directions"), std::string::npos) << print(graph);
      EXPECT_EQ(print(graph).find("scan_input_axes"), std::string::npos) << print(graph);
    }
  }
}

// No carried value, and inputs that are left out at the end.
TEST(PlainForms, OfLoopsWithOneInput) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId trips = graph.add_input("trips", Type::tensor(DType::Int64, Shape{}));
  Graph body(builtin_ops());
  ValueId i = body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId go = body.add_input("go", Type::tensor(DType::Bool, Shape{}));
  body.outputs = {go, GraphBuilder(body).unsqueeze(i, {0, 1}), i};
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  graph.outputs = b.add_n("Loop", {trips}, 2, std::move(options));
  expect_plain(graph, {Tensor::scalar<int64_t>(3)}, "nothing");
}

}  // namespace

}  // namespace onnxrun::testing
