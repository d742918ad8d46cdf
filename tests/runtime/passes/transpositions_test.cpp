// Transpositions that became part of a product keep every bit.
#include "passes/fuse/transpositions.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/dead_nodes.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

// The last two axes swapped.
ValueId swapped(GraphBuilder& b, ValueId v) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < b.rank(v); ++i) order.push_back(i);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return b.transpose(v, order);
}

struct TurnedCase {
  std::string op;
  Dims left, right;  // as the inputs are
  bool turns_left, turns_right, turns_result;
  Attributes attributes = {};
};

// A product of inputs `a` and `b`, transposed as the case says.
struct TurnedNet {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  ValueId left, right, product, result;

  explicit TurnedNet(const TurnedCase& c, DType dtype = DType::Float32) {
    left = graph.add_input("a", Type::tensor(dtype, to_shape(c.left)));
    right = graph.add_input("b", Type::tensor(dtype, to_shape(c.right)));
    if (c.turns_left) left = swapped(b, left);
    if (c.turns_right) right = swapped(b, right);
    product = b.add(c.op, {left, right}, c.attributes);
    result = c.turns_result ? swapped(b, product) : product;
    graph.outputs = {result};
  }
};

size_t nodes_after_turning(Graph& graph) {
  fuse_transpositions(graph);
  remove_dead_nodes(graph);
  verify(graph);
  return graph.nodes.size();
}

void expect_same_results(const Graph& a, const Graph& b, const TurnedCase& c, DType dtype) {
  const std::vector<Tensor> inputs{convert(random_tensor(c.left, 1), dtype),
                                   convert(random_tensor(c.right, 2), dtype)};
  const Tensor x = run_graph(a, inputs)[0], y = run_graph(b, inputs)[0];
  ASSERT_EQ(x.dims(), y.dims());
  EXPECT_EQ(std::memcmp(x.raw(), y.raw(), static_cast<size_t>(x.bytes())), 0);
}

TEST(FuseTranspositions, ComputeTheSameInOneNode) {
  const Attributes turned{{"transA", int64_t{1}}, {"transB", int64_t{1}}};
  const Attributes scaled{{"alpha", 0.5f}, {"transB", int64_t{1}}};
  const TurnedCase rows[] = {
      {"MatMul", {7, 300}, {20, 300}, false, true, false},
      {"MatMul", {300, 7}, {300, 20}, true, false, false},
      {"MatMul", {300, 7}, {20, 300}, true, true, true},
      {"MatMul", {3, 70, 5}, {5, 20}, false, false, true},
      {"MatMul", {2, 1, 6, 9}, {4, 8, 9}, false, true, true},
      {"MatMul", {8, 40}, {3, 70, 40}, false, true, false},
      {"onnxrun.MatMulT", {5, 7, 9}, {5, 9, 8}, true, true, true, turned},
      {"Gemm", {300, 7}, {20, 300}, true, true, true},
      {"Gemm", {300, 7}, {300, 20}, true, true, false, scaled},
      {"Gemm", {7, 300}, {20, 300}, false, false, true, scaled},
  };
  for (const TurnedCase& row : rows) {
    for (DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::Int32}) {
      SCOPED_TRACE(row.op + to_string(row.left) + to_string(row.right) +
                   std::string(to_string(dtype)));
      if (dtype == DType::Int32 && row.attributes.count("alpha")) continue;
      const TurnedNet net(row, dtype);
      Graph fused = net.graph;
      EXPECT_EQ(nodes_after_turning(fused), 1u);
      EXPECT_EQ(fused.outputs, net.graph.outputs);
      expect_same_results(fused, net.graph, row, dtype);
    }
  }
}

const TurnedCase right_turned{"MatMul", {4, 6}, {5, 6}, false, true, false};
const TurnedCase result_turned{"MatMul", {4, 6}, {6, 5}, false, false, true};

TEST(FuseTranspositions, LeavesWhatOthersRead) {
  TurnedNet operand(right_turned), result(result_turned), given(right_turned);
  operand.graph.outputs.push_back(operand.b.add("Neg", {operand.right}));
  EXPECT_EQ(nodes_after_turning(operand.graph), 3u);
  result.graph.outputs.push_back(result.b.add("Neg", {result.product}));
  EXPECT_EQ(nodes_after_turning(result.graph), 3u);
  given.graph.outputs.push_back(given.right);
  EXPECT_EQ(nodes_after_turning(given.graph), 2u);
}

TEST(FuseTranspositions, LeavesGuards) {
  TurnedNet net(result_turned);
  net.graph.guards = {net.product};
  EXPECT_EQ(nodes_after_turning(net.graph), 2u);
}

TEST(FuseTranspositions, SeveralProductsReadOneTransposition) {
  TurnedNet net(right_turned);
  net.graph.outputs.push_back(net.b.add("MatMul", {net.graph.inputs[0], net.right}));
  EXPECT_EQ(nodes_after_turning(net.graph), 2u);
}

TEST(FuseTranspositions, LeavesOtherOrdersAndSums) {
  // Other axes move, too.
  Graph moved(builtin_ops());
  GraphBuilder b(moved);
  const ValueId x = moved.add_input("x", Type::tensor(DType::Float32, to_shape(Dims{4, 3, 5})));
  const ValueId w = moved.add_input("w", Type::tensor(DType::Float32, to_shape(Dims{4, 2})));
  moved.outputs = {b.add("MatMul", {b.transpose(x, {2, 1, 0}), w})};
  EXPECT_EQ(nodes_after_turning(moved), 2u);
  // A vector has no other form; what is added would have to be transposed, too.
  Graph vector(builtin_ops());
  GraphBuilder vb(vector);
  const ValueId v = vector.add_input("v", Type::tensor(DType::Float32, to_shape(Dims{5})));
  const ValueId m = vector.add_input("m", Type::tensor(DType::Float32, to_shape(Dims{2, 5})));
  vector.outputs = {vb.add("MatMul", {v, swapped(vb, m)})};
  EXPECT_EQ(nodes_after_turning(vector), 2u);
  Graph sum(builtin_ops());
  GraphBuilder sb(sum);
  std::vector<ValueId> inputs;
  for (const Dims& dims : {Dims{4, 6}, Dims{6, 5}, Dims{5}}) {
    inputs.push_back(sum.add_input("x" + std::to_string(inputs.size()),
                                   Type::tensor(DType::Float32, to_shape(dims))));
  }
  sum.outputs = {swapped(sb, sb.add("Gemm", inputs))};
  EXPECT_EQ(nodes_after_turning(sum), 2u);
}

}  // namespace

}  // namespace onnxrun::testing
