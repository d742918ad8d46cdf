// Fused graphs compute what they were made of, to the bit.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "graph/node_attributes.h"
#include "passes/fuse/elementwise.h"
#include "plan/execution.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

Type floats(Shape shape) { return Type::tensor(DType::Float64, std::move(shape)); }

size_t fused_nodes(const Graph& graph) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(),
                    [](const Node& n) { return n.info->spec.name == "Elementwise"; }));
}

void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].dims(), b[i].dims());
    EXPECT_EQ(std::memcmp(a[i].raw(), b[i].raw(), static_cast<size_t>(a[i].bytes())), 0)
        << "output " << i;
  }
}

TEST(FuseElementwise, MakesOneNodeOfAChain) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({Dim::symbol("n"), Dim(3)}));
  ValueId y = graph.add_input("y", floats({Dim(3)}));
  ValueId sum = b.add("Add", {x, y});
  ValueId off = b.add("LessOrEqual", {sum, b.scalar(0, DType::Float64)});
  graph.outputs = {b.add("Where", {off, b.scalar(0.5, DType::Float64), b.add("Exp", {sum})}), off};
  Graph fused = graph;
  fuse_elementwise(fused);
  verify(fused);
  ASSERT_EQ(fused.nodes.size(), 1u);
  EXPECT_EQ(fused.outputs, graph.outputs);
  std::vector<Tensor> inputs{random_tensor({5, 3}, 1), random_tensor({3}, 2)};
  expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
}

TEST(FuseElementwise, LeavesWhatItDoesNotKnow) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId unknown = graph.add_input("x", floats({Dim::unknown()}));
  ValueId ranks = graph.add_input("y", Type::tensor(DType::Float64));
  ValueId ints = graph.add_input("z", Type::tensor(DType::Int64, Shape{Dim(2)}));
  ValueId half = graph.add_input("h", Type::tensor(DType::Float16, Shape{Dim(2)}));
  for (ValueId v : {unknown, ranks, ints, half}) {
    graph.outputs.push_back(b.add("Neg", {b.add("Abs", {v})}));
  }
  fuse_elementwise(graph);
  EXPECT_EQ(graph.nodes.size(), 8u);
}

// a -> MatMul -> b -> +a: the two ends must not become one, as the product lies between.
TEST(FuseElementwise, DoesNotWaitForItself) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({Dim(2), Dim(2)}));
  ValueId a = b.add("Tanh", {b.add("Add", {x, x})});
  ValueId product = b.add("MatMul", {a, a});
  graph.outputs = {b.add("Mul", {b.add("Exp", {product}), a})};
  Graph fused = graph;
  fuse_elementwise(fused);
  verify(fused);
  EXPECT_EQ(fused_nodes(fused), 2u);
  EXPECT_EQ(fused.nodes.size(), 3u);
  std::vector<Tensor> inputs{random_tensor({2, 2}, 1)};
  expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
}

size_t calls_of(const Node& node) {
  return attribute_or(node, "functions", std::vector<std::string>()).size();
}

// x -> h, e, y -> MatMul -> what reads h and e again: only y and h are kept for it.
TEST(FuseElementwise, ComputesAnewWhatFollowsFromWhatStays) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({Dim::symbol("n"), Dim(3)}));
  ValueId w = graph.add_input("w", floats({Dim(3), Dim(3)}));
  ValueId h = b.add("Add", {x, b.scalar(0.5, DType::Float64)});
  ValueId e = b.add("Exp", {b.add("Neg", {h})});
  ValueId y = b.add("Mul", {h, e});
  ValueId product = b.add("MatMul", {y, w});
  graph.outputs = {b.add("Sub", {b.add("Mul", {product, e}), h})};
  Graph fused = graph;
  fuse_elementwise(fused);
  verify(fused);
  ASSERT_EQ(fused.nodes.size(), 3u);
  EXPECT_EQ(fused.nodes[0].outputs, (std::vector<ValueId>{h, y}));
  EXPECT_EQ(calls_of(fused.nodes[2]), 4u);
  std::vector<Tensor> inputs{random_tensor({5, 3}, 1), random_tensor({3, 3}, 2)};
  expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
}

// What another node reads, or an output gives, is there already.
TEST(FuseElementwise, ComputesOnceWhatStaysAnyway) {
  for (bool is_output : {false, true}) {
    Graph graph(builtin_ops());
    GraphBuilder b(graph);
    ValueId x = graph.add_input("x", floats({Dim(3), Dim(3)}));
    ValueId h = b.add("Abs", {x});
    ValueId e = b.add("Exp", {h});
    ValueId product = b.add("MatMul", {b.add("Add", {h, e}), is_output ? h : e});
    graph.outputs = {b.add("Mul", {b.add("Neg", {product}), e})};
    if (is_output) graph.outputs.push_back(e);
    Graph fused = graph;
    fuse_elementwise(fused);
    verify(fused);
    ASSERT_EQ(fused.nodes.size(), 3u);
    EXPECT_EQ(calls_of(fused.nodes[2]), 2u);
    std::vector<Tensor> inputs{random_tensor({3, 3}, 1)};
    expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
  }
}

// An error names the node of the file that made a number infinite, not what became of it.
TEST(FuseElementwise, ErrorsNameTheNodeOfTheFile) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({Dim(3)}));
  ValueId root = b.add_n("Sqrt", {x}, 1, {.output_names = {"root"}, .name = "take_root"})[0];
  ValueId log = b.add_n("Log", {root}, 1, {.output_names = {"log"}, .name = "take_log"})[0];
  graph.outputs = graph.guards = {b.add("Mul", {log, log})};
  fuse_elementwise(graph);
  ASSERT_EQ(graph.nodes.size(), 1u);
  Execution execution(Plan::compile(graph, std::vector<Type>{floats({Dim(3)})}));
  execution.bind_input(0, Tensor::of<double>({3}, {1, 0, 4}));
  try {
    execution.run(RunControl());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'log' of Log node 'take_log'"), std::string::npos)
        << e.what();
  }
}

// The file says that both lengths are `n`; what is fed broadcasts.
TEST(FuseElementwise, TakesLengthsThatAreNotWhatTheModelSays) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({Dim::symbol("n")}));
  ValueId y = graph.add_input("y", floats({Dim::symbol("n")}));
  ValueId first = b.add("Tanh", {x}), second = b.add("Neg", {y});
  graph.outputs = {b.add("Add", {first, second}), second};
  Graph fused = graph;
  fuse_elementwise(fused);
  ASSERT_EQ(fused.nodes.size(), 1u);
  std::vector<Tensor> inputs{random_tensor({3}, 1), random_tensor({1}, 2)};
  expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
}

// Any elementwise nodes between products and transposes, with values read from everywhere.
Graph random_graph(uint32_t seed, int nodes) {
  std::mt19937 random(seed);
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> values;
  for (const char* name : {"x", "y"}) {
    values.push_back(graph.add_input(name, floats({Dim::symbol("n"), Dim::symbol("n")})));
  }
  values.push_back(graph.add_input("row", floats({Dim::symbol("n")})));
  values.push_back(graph.add_input("one", floats({})));
  const size_t inputs = values.size();
  auto any = [&] {
    // Mostly young ones, so that chains are long.
    const size_t back = random() % 3 ? std::min<size_t>(values.size(), 4) : values.size();
    return values[values.size() - 1 - random() % back];
  };
  const char* two[] = {"Add", "Sub", "Mul", "Min", "Max"};
  const char* one[] = {"Neg", "Abs", "Relu", "Tanh", "Sigmoid"};
  for (int i = 0; i < nodes; ++i) {
    const auto kind = random() % 8;
    ValueId made = no_value;
    if (kind < 4) {
      made = b.add(two[random() % 5], {any(), any()});
    } else if (kind < 6) {
      made = b.add(one[random() % 5], {any()});
    } else if (kind == 6) {
      made = b.add("Where", {b.add("Less", {any(), any()}), any(), any()});
    } else {
      ValueId a = any();
      made = b.rank(a) == 2 ? b.transpose(a, {1, 0}) : b.add("Identity", {a});
      if (b.rank(a) == 2) made = b.add("Tanh", {b.add("MatMul", {made, values[0]})});
    }
    values.push_back(made);
  }
  for (size_t v = inputs; v < values.size(); ++v) {
    if (v + 1 == values.size() || random() % 6 == 0) graph.outputs.push_back(values[v]);
  }
  return graph;
}

TEST(FuseElementwise, KeepsEveryBitOfAnyGraph) {
  size_t before = 0, after = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    // The longest have more groups than are open at a time.
    const Graph graph = random_graph(seed, seed % 30 == 0 ? 900 : 25);
    Graph fused = graph;
    fuse_elementwise(fused);
    verify(fused);
    before += graph.nodes.size();
    after += fused.nodes.size();
    for (int64_t n : {1, 3}) {
      std::vector<Tensor> inputs{random_tensor({n, n}, seed), random_tensor({n, n}, seed + 1),
                                 random_tensor({n}, seed + 2), random_tensor({}, seed + 3)};
      expect_same_bits(run_graph(fused, inputs), run_graph(graph, inputs));
      if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "seed " << seed;
    }
  }
  EXPECT_LT(2 * after, before);
}

}  // namespace

}  // namespace onnxrun::testing
