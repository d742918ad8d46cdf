// Values that outlive the memory they were computed in: views, sequences, what a subgraph passes
// through. Work that comes after must not write over them.
#include <gtest/gtest.h>

#include <cmath>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

const std::vector<double> x = {1, 2, 3, 4};

Type vector_type() { return Type::tensor(DType::Float64, Shape{4}); }

// x -> Relu -> `way` -> + k, where k is work on x that finds the memory of Relu free.
struct Maker {
  Maker() : graph(builtin_ops()), b(graph) {
    in = graph.add_input("x", vector_type());
    relu = b.add("Relu", {in});
  }

  void finish(ValueId kept) {
    ValueId v = in;
    for (const char* op : {"Exp", "Sin", "Cos"}) v = b.add(op, {v});
    ValueId k = b.add("ReduceSum", {v}, {{"keepdims", int64_t{0}}});
    graph.outputs = {b.add("Add", {kept, k})};
  }

  void expect_kept(std::vector<Tensor> more = {}) {
    double k = 0;
    for (double e : x) k += std::cos(std::sin(std::exp(e)));
    more.insert(more.begin(), Tensor::of<double>({4}, std::span<const double>(x)));
    std::vector<double> results = values_of(run_graph(graph, more)[0]);
    ASSERT_EQ(results.size(), x.size());
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(results[i], x[i] + k, 1e-12) << i;
  }

  Graph graph;
  GraphBuilder b;
  ValueId in, relu;
};

TEST(Escapes, AViewOfAShapeThatTheRunTells) {
  Maker m;
  ValueId shape =
      m.graph.add_input("shape", Type::tensor(DType::Int64, Shape{Dim::symbol("rank")}));
  m.finish(m.b.add("Reshape", {m.relu, shape}));
  m.expect_kept({Tensor::of<int64_t>({2}, {2, 2})});
}

TEST(Escapes, AnElementOfASequence) {
  Maker m;
  ValueId sequence = m.b.add("SequenceConstruct", {m.relu});
  m.finish(m.b.add("SequenceAt", {sequence, m.b.int_scalar(0)}));
  m.expect_kept();
}

TEST(Escapes, WhatALoopOfNoIterationsStartsWith) {
  Maker m;
  Graph body(builtin_ops());
  body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId going = body.add_input("c", Type::tensor(DType::Bool, Shape{}));
  ValueId v = body.add_input("v", vector_type());
  GraphBuilder inner(body);
  body.outputs = {inner.add("Identity", {going}), inner.add("Neg", {v})};
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  ValueId trips = m.graph.add_input("trips", Type::tensor(DType::Int64, Shape{}));
  m.finish(m.b.add_n("Loop", {trips, no_value, m.relu}, 1, std::move(options))[0]);
  m.expect_kept({Tensor::scalar<int64_t>(0)});
}

TEST(Escapes, WhatABranchPassesThrough) {
  Maker m;
  NodeOptions options;
  for (const char* op : {"Identity", "Neg"}) {
    Graph& branch = options.bodies.emplace_back(builtin_ops());
    ValueId v = branch.add_input("captured", vector_type());
    branch.outputs = {GraphBuilder(branch).add(op, {v})};
  }
  options.captures = {m.relu};
  ValueId condition = m.graph.add_input("condition", Type::tensor(DType::Bool, Shape{}));
  m.finish(m.b.add_n("If", {condition}, 1, std::move(options))[0]);
  m.expect_kept({Tensor::scalar(true)});
}

// Each iteration inserts x + i, computed in the same place.
TEST(Escapes, SequencesGrowInLoops) {
  Graph graph(builtin_ops()), body(builtin_ops());
  ValueId in = graph.add_input("x", vector_type());
  GraphBuilder b(graph), inner(body);
  ValueId i = body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId going = body.add_input("c", Type::tensor(DType::Bool, Shape{}));
  ValueId list = body.add_input("list", Type::sequence(Type::tensor(DType::Float64)));
  ValueId captured = body.add_input("captured", vector_type());
  ValueId sum = inner.add("Add", {captured, inner.cast(i, DType::Float64)});
  body.outputs = {inner.add("Identity", {going}), inner.add("SequenceInsert", {list, sum})};
  NodeOptions options;
  options.captures = {in};
  options.bodies.push_back(std::move(body));
  ValueId empty = b.add("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(DType::Float64)}});
  ValueId all = b.add_n("Loop", {b.int_scalar(3), no_value, empty}, 1, std::move(options))[0];
  graph.outputs = {b.add("ConcatFromSequence", {all}, {{"axis", int64_t{0}}})};
  std::vector<double> results =
      values_of(run_graph(graph, {Tensor::of<double>({4}, std::span<const double>(x))})[0]);
  EXPECT_EQ(results, (std::vector<double>{1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6}));
}

}  // namespace

}  // namespace onnxrun::testing
