#include "node_cost.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"

namespace onnxrun::tool {
namespace {

struct NodeCostRow {
  std::string op;
  std::vector<Shape> inputs;  // floats
  Attributes attributes;
  std::optional<int64_t> flops;
  size_t outputs = 1;
};

const Dim n = Dim::symbol("n");

// Where products are summed, they are those that torch.utils.flop_counter counts; a bias adds one
// for each element of the output.
const std::vector<NodeCostRow> node_cost_rows = {
    {"MatMul", {{2, 3, 4}, {4, 5}}, {}, 2 * 2 * 3 * 4 * 5},
    {"MatMul", {{4}, {4}}, {}, 2 * 4},
    {"MatMul", {{n, 4}, {4, 5}}, {}, std::nullopt},
    {"Gemm", {{3, 7}, {3, 5}, {5}}, {{"transA", int64_t{1}}}, 2 * 7 * 3 * 5 + 7 * 5},
    {"Conv",
     {{2, 6, 15, 17}, {8, 3, 3, 3}},
     {{"strides", std::vector<int64_t>{2, 2}},
      {"pads", std::vector<int64_t>{1, 1, 1, 1}},
      {"group", int64_t{2}}},
     62208},
    {"Conv", {{1, 1, 5}, {2, 1, 3}, {2}}, {}, 2 * 2 * 3 * 3 + 2 * 3},
    {"ConvTranspose",
     {{2, 6, 7, 9}, {6, 4, 3, 3}},
     {{"strides", std::vector<int64_t>{2, 2}}, {"group", int64_t{2}}},
     54432},
    {"LSTM",
     {{7, 2, 3}, {1, 20, 3}, {1, 20, 5}},
     {{"hidden_size", int64_t{5}}},
     2 * 7 * 2 * (20 * 3 + 20 * 5)},
    {"Attention", {{2, 3, 7, 8}, {2, 3, 9, 8}, {2, 3, 9, 8}}, {}, 2 * 2 * 3 * 7 * 9 * 16},
    {"Einsum", {{2, 3}, {3, 4}}, {{"equation", std::string("ij,jk->ik")}}, 2 * 2 * 3 * 4},
    {"Einsum",
     {{2, 5, 3}, {1, 3, 4}},
     {{"equation", std::string("...ij,...jk")}},
     2 * 2 * 5 * 3 * 4},
    {"onnxrun.MatMulT", {{4, 3}, {5, 4}}, {{"transA", int64_t{1}}, {"transB", int64_t{1}}}, 2 * 60},
    {"com.microsoft.FusedMatMul", {{4, 3}, {4, 5}}, {{"transA", int64_t{1}}}, 2 * 60},
    {"ReduceSum", {{2, 3}}, {}, 6},
    {"Relu", {{2, 3}}, {}, 6},
    {"Add", {{2, 1}, {3}}, {}, 6},
    {"Transpose", {{2, 3}}, {}, 0},
    {"Softmax", {{2, 3}}, {}, 5 * 6},
    {"LayerNormalization", {{2, 3}, {3}}, {}, 7 * 6},
    {"ReduceMax", {{2, 3}}, {}, 6},
    {"MaxPool", {{1, 1, 4, 4}}, {{"kernel_shape", std::vector<int64_t>{2, 2}}}, 9 * 4},
};

TEST(NodeCost, FlopsAreThoseOfTheFormulas) {
  for (const NodeCostRow& row : node_cost_rows) {
    Graph graph(builtin_ops());
    GraphBuilder builder(graph);
    std::vector<ValueId> inputs;
    for (const Shape& shape : row.inputs) {
      inputs.push_back(graph.add_input("x" + std::to_string(inputs.size()),
                                       Type::tensor(DType::Float32, shape)));
    }
    NodeOptions options;
    options.attributes = row.attributes;
    builder.add_n(row.op, inputs, row.outputs, std::move(options));
    EXPECT_EQ(cost_of(graph, graph.nodes.back()).flops, row.flops) << row.op;
  }
}

TEST(NodeCost, BytesAreThoseReadAndWritten) {
  Graph graph(builtin_ops());
  GraphBuilder builder(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2, 3}));
  ValueId w = graph.add_initializer("w", Tensor(DType::Float32, {3, 4}));
  ValueId y = builder.add("MatMul", {x, w});
  builder.reshape(y, builder.ints({8}));
  NodeCost product = cost_of(graph, graph.nodes[0]);
  EXPECT_EQ(product.bytes, 4 * (6 + 12 + 8));
  EXPECT_EQ(product.output_bytes, 4 * 8);
  EXPECT_EQ(cost_of(graph, graph.nodes[1]).bytes, 0);  // a view
  EXPECT_EQ(cost_of(graph).flops, 2 * 2 * 3 * 4);
}

// Lengths that a file makes up must not overflow.
TEST(NodeCost, AbsurdShapesAreTheLargestNumber) {
  Graph graph(builtin_ops());
  GraphBuilder builder(graph);
  constexpr int64_t huge = int64_t{1} << 40;
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{huge, 4}));
  ValueId w = graph.add_input("w", Type::tensor(DType::Float32, Shape{4, huge}));
  builder.add("MatMul", {x, w});
  NodeCost cost = cost_of(graph, graph.nodes[0]);
  EXPECT_EQ(cost.flops, INT64_MAX);
  EXPECT_GT(*cost.bytes, INT64_MAX / 8);
}

// Weights belong to the node that computes with them, and once.
TEST(NodeCost, InitializersByNode) {
  Graph graph(builtin_ops());
  GraphBuilder builder(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2, 3}));
  ValueId w = graph.add_initializer("w", Tensor(DType::Float32, {4, 3}));
  ValueId b = graph.add_initializer("b", Tensor(DType::Float32, {4}));
  ValueId y = builder.add("MatMul", {x, builder.transpose(w, {1, 0})});
  ValueId z = builder.add("Add", {y, b});
  builder.add("Mul", {builder.reshape(z, builder.ints({8})), builder.reduce_sum(b, {0}, true)});
  auto by_node = initializers_by_node(graph);
  EXPECT_EQ(by_node[1], std::vector<ValueId>{w});  // behind the Transpose
  EXPECT_EQ(by_node[2], std::vector<ValueId>{b});
  for (const auto& [node, ids] : by_node) {
    EXPECT_TRUE(node == 1 || node == 2 || ids.empty()) << node;
  }
}

TEST(NodeCost, ShortNumbers) {
  EXPECT_EQ(short_number(0, "B"), "0 B");
  EXPECT_EQ(short_number(999, "B"), "999 B");
  EXPECT_EQ(short_number(1536, "B"), "1.54 kB");
  EXPECT_EQ(short_number(2.5e9, ""), "2.5 G");
}

}  // namespace
}  // namespace onnxrun::tool
