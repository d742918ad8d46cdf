// Sessions over graphs that a hostile file could hold: limits are kept, and nothing is taken on
// trust.
#include "onnxrun/session.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

Type floats(Shape shape) { return Type::tensor(DType::Float32, std::move(shape)); }

Tensor ints(std::vector<int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

NamedValues run(const Graph& graph, const NamedValues& inputs, const SessionOptions& options = {}) {
  return Session(Model(std::make_shared<Graph>(graph)), options).run(inputs);
}

ErrorKind kind_of_failure(const Graph& graph, const NamedValues& inputs,
                          const SessionOptions& options = {}) {
  try {
    run(graph, inputs, options);
  } catch (const Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::Internal;
}

SessionOptions with_memory(int64_t bytes) {
  SessionOptions options;
  options.max_memory = bytes;
  return options;
}

// An initializer that is also an input, declared without a rank.
TEST(SessionLimits, TakesAnInitializersTypeFromItsElements) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", floats({3}));
  ValueId p = graph.add_initializer("p", Tensor::scalar<int64_t>(2));
  graph.overridable = {p};
  graph.value(p).type = Type::tensor(DType::Int64);
  graph.outputs = {GraphBuilder(graph).add("Gather", {x, p})};
  Tensor values = Tensor::of<float>({3}, {5, 6, 7});
  EXPECT_EQ(to_doubles(run(graph, {{"x", values}})[0].second.tensor), std::vector<double>{7});
  NamedValues fed = {{"x", values}, {"p", ints({0, 1})}};
  EXPECT_EQ(to_doubles(run(graph, fed)[0].second.tensor), (std::vector<double>{5, 6}));
}

TEST(SessionLimits, BoundsRanks) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", floats({3}));
  ValueId axes = graph.add_input("axes", Type::tensor(DType::Int64, Shape{Dim::symbol("n")}));
  graph.outputs = {GraphBuilder(graph).add("Unsqueeze", {x, axes})};
  Tensor values = Tensor::of<float>({3}, {5, 6, 7});
  std::vector<int64_t> many(63);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int64_t>(i);
  EXPECT_EQ(run(graph, {{"x", values}, {"axes", ints(many)}})[0].second.tensor.rank(), 64);
  many.push_back(63);
  EXPECT_EQ(kind_of_failure(graph, {{"x", values}, {"axes", ints(many)}}), ErrorKind::Limit);
}

// Tables of where each element comes from would be as large as the output.
TEST(SessionLimits, ChecksMemoryBeforeKernelsPrepare) {
  for (const char* mode : {"edge", "reflect", "wrap", "constant"}) {
    Graph graph(builtin_ops());
    ValueId x = graph.add_input("x", floats({3}));
    GraphBuilder b(graph);
    graph.outputs = {
        b.add("Pad", {x, b.ints({0, int64_t{1} << 40})}, {{"mode", std::string(mode)}})};
    auto start = std::chrono::steady_clock::now();
    NamedValues inputs = {{"x", Tensor::of<float>({3}, {5, 6, 7})}};
    EXPECT_EQ(kind_of_failure(graph, inputs, with_memory(1 << 20)), ErrorKind::Limit) << mode;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << mode;
  }
}

// A loop over v -> body(v), `trips` times; its second output stacks what the body gives.
Graph loop(const char* op, int64_t trips, int64_t length, bool stacks) {
  Graph graph(builtin_ops()), body(builtin_ops());
  body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId going = body.add_input("c", Type::tensor(DType::Bool, Shape{}));
  ValueId v = body.add_input("v", Type::tensor(DType::Float32));
  GraphBuilder inner(body);
  Attributes attributes;
  if (std::string_view(op) == "Concat") attributes["axis"] = int64_t{0};
  ValueId next = inner.add(op, {v, v}, attributes);
  body.outputs = {inner.add("Identity", {going}), next};
  if (stacks) body.outputs.push_back(inner.add("Add", {v, v}));

  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", floats({length}));
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  std::vector<ValueId> results =
      b.add_n("Loop", {b.int_scalar(trips), no_value, x}, stacks ? 2 : 1, std::move(options));
  graph.outputs = {results.back()};
  return graph;
}

TEST(SessionLimits, CountsMemoryOfBodies) {
  Tensor few = Tensor::of<float>({3}, {5, 6, 7});
  Tensor many(DType::Float32, {100'000});
  std::fill_n(many.data<float>(), many.size(), 1.0f);
  struct Row {
    const char* name;
    Graph graph;
    Tensor x;
  };
  const Row rows[] = {{"a carried value that doubles", loop("Concat", 20, 3, false), few},
                      {"what is stacked", loop("Add", 60, 100'000, true), many}};
  for (const Row& row : rows) {
    NamedValues inputs = {{"x", row.x}};
    EXPECT_EQ(kind_of_failure(row.graph, inputs, with_memory(4'000'000)), ErrorKind::Limit)
        << row.name;
    EXPECT_NO_THROW(run(row.graph, inputs, with_memory(100'000'000))) << row.name;
  }
}

// What no input can make right is wrong with the model, not with an input.
TEST(SessionLimits, ConstantAxesOutOfRangeAreTheModels) {
  for (const char* op : {"CumSum", "ReduceSum", "Unsqueeze", "Squeeze"}) {
    ModelMaker m;
    m.input("x", {"2", "3"});
    onnx::TensorProto& axis = *m.graph().add_initializer();
    axis.set_name("axis");
    axis.set_data_type(onnx::TensorProto::INT64);
    axis.add_dims(1);
    axis.add_int64_data(7);
    m.node(op, {"x", "axis"}, {"y"});
    m.output("y");
    try {
      import_model_bytes(m.bytes(), "", builtin_ops());
      ADD_FAILURE() << op;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadModel) << e.what();
    }
  }
}

}  // namespace
}  // namespace onnxrun
