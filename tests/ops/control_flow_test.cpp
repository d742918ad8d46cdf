// If, Loop and Scan: runs and gradients of graphs with subgraphs.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/graph_tester.h"
#include "support/model_maker.h"

namespace onnxrun::testing {

namespace {

Type scalar_type(DType t) { return Type::tensor(t, Shape{}); }
Type vector_type(int64_t n) { return Type::tensor(DType::Float64, Shape{Dim(n)}); }

// A body with (iteration, condition, carried...) as inputs.
struct LoopBody {
  LoopBody() : graph(builtin_ops()), builder(graph) {
    graph.add_input("i", scalar_type(DType::Int64));
    condition = graph.add_input("c", scalar_type(DType::Bool));
  }
  Graph graph;
  GraphBuilder builder;
  ValueId condition;
};

// h <- tanh(w * h + x[i]) `trips` times; outputs the last h and all of them.
Graph recurrence(bool captured_weight) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId trips = g.add_input("trips", scalar_type(DType::Int64));
  ValueId h0 = g.add_input("h0", vector_type(3)), w = g.add_input("w", vector_type(3));
  ValueId x = g.add_input("x", Type::tensor(DType::Float64, Shape{Dim::symbol("steps"), Dim(3)}));
  LoopBody body;
  ValueId h = body.graph.add_input("h", vector_type(3));
  // Keras hands weights from iteration to iteration as carried state.
  ValueId weight = body.graph.add_input("weight", vector_type(3));
  ValueId xs = body.graph.add_input("xs", g.value(x).type);
  ValueId step = body.builder.add("Gather", {xs, body.graph.inputs[0]}, {{"axis", int64_t{0}}});
  ValueId sum = body.builder.add("Add", {body.builder.add("Mul", {weight, h}), step});
  ValueId next = body.builder.add("Tanh", {sum});
  ValueId go = body.builder.add("Identity", {body.condition});
  ValueId out = body.builder.add("Identity", {next});
  NodeOptions options;
  if (captured_weight) {
    body.graph.outputs = {go, next, out};
    options.captures = {w, x};
    options.bodies.push_back(body.graph);
    g.outputs = b.add_n("Loop", {trips, no_value, h0}, 2, options);
  } else {
    body.graph.outputs = {go, next, body.builder.add("Identity", {weight}), out};
    options.captures = {x};
    options.bodies.push_back(body.graph);
    std::vector<ValueId> results = b.add_n("Loop", {trips, no_value, h0, w}, 3, options);
    g.outputs = {results[0], results[2]};
  }
  verify(g);
  return g;
}

std::vector<Tensor> recurrence_inputs(int64_t trips) {
  return {Tensor::scalar<int64_t>(trips), random_tensor({3}, 1), random_tensor({3}, 2),
          random_tensor({4, 3}, 3)};
}

TEST(Loop, GradientsThroughStateScansAndCaptures) {
  for (bool captured : {true, false}) {
    for (int64_t trips : {4, 1, 0}) {
      SCOPED_TRACE(::testing::Message() << "captured " << captured << ", trips " << trips);
      check_graph_gradient(recurrence(captured), recurrence_inputs(trips));
    }
  }
}

// h <- tanh(h + w), then as many times as the outer iteration counts h <- -h. What an inner loop of
// no iterations passes on lies in the memory of the body around it, which the next iteration
// reuses.
TEST(Loop, InnerLoopOfNoIterationsPassesItsStateOn) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId trips = g.add_input("trips", scalar_type(DType::Int64));
  ValueId h0 = g.add_input("h0", vector_type(3)), w = g.add_input("w", vector_type(3));
  LoopBody inner;
  ValueId inner_h = inner.graph.add_input("h", vector_type(3));
  ValueId inner_go = inner.builder.add("Identity", {inner.condition});
  inner.graph.outputs = {inner_go, inner.builder.add("Neg", {inner_h})};
  LoopBody outer;
  ValueId h = outer.graph.add_input("h", vector_type(3));
  ValueId weight = outer.graph.add_input("w", vector_type(3));
  ValueId other = outer.builder.add("Exp", {weight});
  ValueId sum = outer.builder.add("Add", {outer.builder.add("Mul", {h, other}), weight});
  NodeOptions options;
  options.bodies.push_back(inner.graph);
  ValueId state = outer.builder.add_n(
      "Loop", {outer.graph.inputs[0], no_value, outer.builder.add("Tanh", {sum})}, 1, options)[0];
  outer.graph.outputs = {outer.builder.add("Identity", {outer.condition}), state};
  options = {};
  options.captures = {w};
  options.bodies.push_back(outer.graph);
  g.outputs = b.add_n("Loop", {trips, no_value, h0}, 1, options);
  verify(g);

  double expected = 0.25;
  for (int64_t n = 0; n < 4; ++n) {
    SCOPED_TRACE(n);
    Tensor found = run_graph(g, {Tensor::scalar<int64_t>(n), Tensor::of<double>({3}, {0.25, 0, 1}),
                                 Tensor::of<double>({3}, {0.5, 1, -1})})[0];
    EXPECT_DOUBLE_EQ(found.data<double>()[0], expected);
    expected = std::tanh(expected * std::exp(0.5) + 0.5) * (n % 2 == 1 ? -1 : 1);
  }
}

// The names of absent inputs at the end go, of which M and cond may be the last.
TEST(Loop, MayCarryNothingAndLackItsCondition) {
  ModelMaker m;
  m.input("n", {}, onnx::TensorProto::INT64);
  m.input("x", {"2"});
  auto& body = ModelMaker::body(m.node("Loop", {"n", ""}, {"y"}), "body");
  for (const char* name : {"i", "cond"}) body.add_input()->set_name(name);
  ModelMaker::add_node(*body.mutable_node(), "Neg", {"x"}, {"a"});
  for (const char* name : {"cond", "a"}) body.add_output()->set_name(name);
  m.output("y");
  Graph g = import_model_bytes(m.bytes(), "", builtin_ops());
  Tensor y = run_graph(g, {Tensor::scalar<int64_t>(2), Tensor::of<float>({2}, {1, 2})})[0];
  EXPECT_EQ(to_doubles(y), (std::vector<double>{-1, -2, -1, -2}));
}

// Were a handle put around the state in every iteration, releasing the last would recurse through
// all of them.
TEST(Loop, HandsAStateOnAMillionTimes) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId trips = g.add_input("trips", scalar_type(DType::Int64)),
          x = g.add_input("x", vector_type(2));
  LoopBody body;
  ValueId v = body.graph.add_input("v", vector_type(2));
  body.graph.outputs = {body.builder.add("Identity", {body.condition}),
                        body.builder.add("Identity", {v})};
  NodeOptions options;
  options.bodies.push_back(body.graph);
  g.outputs = b.add_n("Loop", {trips, no_value, x}, 1, options);
  constexpr int64_t many = 1'000'000;
  Tensor y = run_graph(g, {Tensor::scalar(many), Tensor::of<double>({2}, {3, 4})}, many)[0];
  EXPECT_EQ(to_doubles(y), (std::vector<double>{3, 4}));
}

TEST(Loop, EndsWhenItsConditionFallsAndAtTheLimit) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId x = g.add_input("x", scalar_type(DType::Float64));
  LoopBody body;
  ValueId v = body.graph.add_input("v", scalar_type(DType::Float64));
  ValueId doubled = body.builder.add("Add", {v, v});
  ValueId go = body.builder.add("Less", {doubled, body.builder.scalar(100, DType::Float64)});
  body.graph.outputs = {go, doubled};
  NodeOptions options;
  options.bodies.push_back(body.graph);
  g.outputs = b.add_n("Loop", {no_value, no_value, x}, 1, options);
  EXPECT_EQ(*run_graph(g, {Tensor::scalar(3.0)})[0].data<double>(), 192);
  check_graph_gradient(g, {Tensor::scalar(3.0)});
  try {
    run_graph(g, {Tensor::scalar(0.0)});
    FAIL() << "no limit";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Limit);
  }
}

// Carried shapes that grow are kept in sequences.
TEST(Loop, GradientsOfAGrowingState) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId trips = g.add_input("trips", scalar_type(DType::Int64)),
          x = g.add_input("x", vector_type(2));
  LoopBody body;
  ValueId v = body.graph.add_input("v", Type::tensor(DType::Float64, Shape{Dim()}));
  ValueId squared = body.builder.add("Mul", {v, v});
  ValueId sum = body.builder.add("ReduceSum", {squared}, {{"keepdims", int64_t{1}}});
  ValueId longer =
      body.builder.add("Concat", {body.builder.add("Sin", {v}), sum}, {{"axis", int64_t{0}}});
  body.graph.outputs = {body.builder.add("Identity", {body.condition}), longer};
  NodeOptions options;
  options.bodies.push_back(body.graph);
  g.outputs = b.add_n("Loop", {trips, no_value, x}, 1, options);
  check_graph_gradient(g, {Tensor::scalar<int64_t>(3), random_tensor({2}, 5)});
}

TEST(If, GradientsFlowThroughTheBranchTaken) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId x = g.add_input("x", vector_type(3)), y = g.add_input("y", vector_type(3));
  ValueId zero = b.scalar(0, DType::Float64);
  ValueId total = b.add("ReduceSum", {x}, {{"keepdims", int64_t{0}}});
  auto branch = [&](const char* op) {
    Graph body(builtin_ops());
    ValueId p = body.add_input("p", vector_type(3)), q = body.add_input("q", vector_type(3));
    GraphBuilder bb(body);
    body.outputs = {bb.add(op, {bb.add("Exp", {p}), q})};
    return body;
  };
  NodeOptions options;
  options.captures = {x, y};
  options.bodies = {branch("Mul"), branch("Sub")};
  g.outputs = b.add_n("If", {b.add("Greater", {total, zero})}, 1, options);
  check_graph_gradient(g, {random_tensor({3}, 1, 0.1, 1), random_tensor({3}, 2)});
  check_graph_gradient(g, {random_tensor({3}, 1, -1, -0.1), random_tensor({3}, 2)});
}

// s <- sin(s * w + x) over the slices of x along an axis, in a direction; the outputs are s, unless
// it is dropped, and the s x.
Graph scan(int64_t axis, int64_t direction, bool drops_state = false) {
  Graph g(builtin_ops());
  GraphBuilder b(g);
  ValueId s0 = g.add_input("s0", vector_type(2)), w = g.add_input("w", vector_type(2));
  Shape shape = axis == 0 ? Shape{Dim(3), Dim(2)} : Shape{Dim(2), Dim(3)};
  ValueId x = g.add_input("x", Type::tensor(DType::Float64, shape));
  Graph body(builtin_ops());
  ValueId s = body.add_input("s", vector_type(2)), slice = body.add_input("slice", vector_type(2));
  ValueId weight = body.add_input("weight", vector_type(2));
  GraphBuilder bb(body);
  ValueId next = bb.add("Sin", {bb.add("Add", {bb.add("Mul", {s, weight}), slice})});
  body.outputs = {next, bb.add("Mul", {next, slice})};
  NodeOptions options;
  options.captures = {w};
  options.bodies.push_back(body);
  options.attributes = {{"num_scan_inputs", int64_t{1}},
                        {"scan_input_axes", std::vector<int64_t>{axis}},
                        {"scan_input_directions", std::vector<int64_t>{direction}},
                        {"scan_output_axes", std::vector<int64_t>{1 - axis}},
                        {"scan_output_directions", std::vector<int64_t>{1 - direction}}};
  g.outputs = b.add_n("Scan", {s0, x}, 2, options);
  if (drops_state) {
    g.outputs.erase(g.outputs.begin());
    g.nodes.back().outputs[0] = no_value;
  }
  return g;
}

TEST(Scan, GradientsWithoutTheFinalState) {
  check_graph_gradient(scan(0, 0, true),
                       {random_tensor({2}, 1), random_tensor({2}, 2), random_tensor({3, 2}, 3)});
}

TEST(Scan, GradientsOverAxesAndDirections) {
  for (int64_t axis : {0, 1}) {
    for (int64_t direction : {0, 1}) {
      SCOPED_TRACE(::testing::Message() << "axis " << axis << ", direction " << direction);
      Dims dims = axis == 0 ? Dims{3, 2} : Dims{2, 3};
      check_graph_gradient(scan(axis, direction),
                           {random_tensor({2}, 1), random_tensor({2}, 2), random_tensor(dims, 3)});
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
