// Sessions over graphs that a hostile file could hold: limits are kept, and nothing is taken on
// trust.
#include "onnxrun/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/work.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/model_maker.h"
#include "support/thinning.h"

namespace onnxrun {
namespace {

Type float_type(Shape shape) { return Type::tensor(DType::Float32, std::move(shape)); }

Tensor ints(std::vector<int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

NamedValues run_graph(const Graph& graph, const NamedValues& inputs,
                      const SessionOptions& options = {}) {
  return Session(Model(std::make_shared<Graph>(graph)), options).run(inputs);
}

ErrorKind kind_of_failure(const Graph& graph, const NamedValues& inputs,
                          const SessionOptions& options = {}) {
  try {
    run_graph(graph, inputs, options);
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
  ValueId x = graph.add_input("x", float_type({3}));
  ValueId p = graph.add_initializer("p", Tensor::scalar<int64_t>(2));
  graph.overridable = {p};
  graph.value(p).type = Type::tensor(DType::Int64);
  graph.outputs = {GraphBuilder(graph).add("Gather", {x, p})};
  Tensor values = Tensor::of<float>({3}, {5, 6, 7});
  EXPECT_EQ(to_doubles(run_graph(graph, {{"x", values}})[0].second.tensor), std::vector<double>{7});
  NamedValues fed = {{"x", values}, {"p", ints({0, 1})}};
  EXPECT_EQ(to_doubles(run_graph(graph, fed)[0].second.tensor), (std::vector<double>{5, 6}));
}

TEST(SessionLimits, BoundsRanks) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", float_type({3}));
  ValueId axes = graph.add_input("axes", Type::tensor(DType::Int64, Shape{Dim::symbol("n")}));
  graph.outputs = {GraphBuilder(graph).add("Unsqueeze", {x, axes})};
  Tensor values = Tensor::of<float>({3}, {5, 6, 7});
  std::vector<int64_t> many(63);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int64_t>(i);
  EXPECT_EQ(run_graph(graph, {{"x", values}, {"axes", ints(many)}})[0].second.tensor.rank(), 64);
  many.push_back(63);
  EXPECT_EQ(kind_of_failure(graph, {{"x", values}, {"axes", ints(many)}}), ErrorKind::Limit);
}

// Tables of where each element comes from would be as large as the output.
TEST(SessionLimits, ChecksMemoryBeforeKernelsPrepare) {
  for (const char* mode : {"edge", "reflect", "wrap", "constant"}) {
    Graph graph(builtin_ops());
    ValueId x = graph.add_input("x", float_type({3}));
    GraphBuilder b(graph);
    graph.outputs = {
        b.add("Pad", {x, b.ints({0, int64_t{1} << 40})}, {{"mode", std::string(mode)}})};
    auto start = std::chrono::steady_clock::now();
    NamedValues inputs = {{"x", Tensor::of<float>({3}, {5, 6, 7})}};
    EXPECT_EQ(kind_of_failure(graph, inputs, with_memory(1 << 20)), ErrorKind::Limit) << mode;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << mode;
  }
}

// Columns of a window that is as large as the image, and what they are packed in, are hundreds of
// times as much.
TEST(SessionLimits, CountsWorkingMemoryOfKernels) {
  constexpr int64_t length = 1024;
  for (DType type : {DType::UInt8, DType::Float32}) {
    Graph graph(builtin_ops());
    const Shape shape{1, 1, length, length};
    ValueId x = graph.add_input("x", Type::tensor(type, shape));
    ValueId w = graph.add_input("w", Type::tensor(type, shape));
    graph.outputs = {GraphBuilder(graph).add(type == DType::UInt8 ? "ConvInteger" : "Conv", {x, w},
                                             {{"pads", std::vector<int64_t>{8, 8, 8, 8}}})};
    const Tensor image(type, {1, 1, length, length});
    const NamedValues inputs = {{"x", image}, {"w", image}};
    const auto memory = std::make_shared<MemoryAccount>(64 << 20);
    const Work work{.memory = memory.get()};
    const WorkScope scope(&work);
    EXPECT_EQ(kind_of_failure(graph, inputs), ErrorKind::Limit);
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
  ValueId x = graph.add_input("x", float_type({length}));
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
    EXPECT_NO_THROW(run_graph(row.graph, inputs, with_memory(100'000'000))) << row.name;
  }
}

// A loop in a loop: neither alone is too long.
TEST(SessionLimits, CountsIterationsOfAllLoopsTogether) {
  for (const char* inner_op : {"Loop", "Scan"}) {
    Graph graph(builtin_ops()), outer(builtin_ops()), inner(builtin_ops());
    bool scan = std::string_view(inner_op) == "Scan";
    if (!scan) inner.add_input("j", Type::tensor(DType::Int64, Shape{}));
    ValueId on = scan ? no_value : inner.add_input("d", Type::tensor(DType::Bool, Shape{}));
    ValueId u = inner.add_input("u", scan ? float_type({}) : float_type({100}));
    GraphBuilder in(inner);
    if (!scan) inner.outputs = {in.add("Identity", {on})};
    inner.outputs.push_back(in.add("Neg", {u}));

    outer.add_input("i", Type::tensor(DType::Int64, Shape{}));
    ValueId going = outer.add_input("c", Type::tensor(DType::Bool, Shape{}));
    ValueId v = outer.add_input("v", float_type({100}));
    GraphBuilder out(outer);
    NodeOptions inside;
    inside.bodies.push_back(std::move(inner));
    if (scan) inside.attributes = {{"num_scan_inputs", int64_t{1}}};
    std::vector<ValueId> inputs = {out.int_scalar(100), no_value, v};
    if (scan) inputs = {v};
    ValueId next = out.add_n(inner_op, inputs, 1, std::move(inside))[0];
    outer.outputs = {out.add("Identity", {going}), next};

    ValueId x = graph.add_input("x", float_type({100}));
    GraphBuilder b(graph);
    NodeOptions around;
    around.bodies.push_back(std::move(outer));
    graph.outputs = {b.add_n("Loop", {b.int_scalar(50), no_value, x}, 1, std::move(around))[0]};

    Tensor x_value(DType::Float32, {100});
    std::fill_n(x_value.data<float>(), 100, 1.0f);
    NamedValues values = {{"x", x_value}};
    SessionOptions options;
    options.max_loop_iterations = 5049;
    EXPECT_EQ(kind_of_failure(graph, values, options), ErrorKind::Limit) << inner_op;
    options.max_loop_iterations = 5050;
    // Every run begins to count anew.
    Session session(Model(std::make_shared<Graph>(graph)), options);
    EXPECT_NO_THROW(session.run(values)) << inner_op;
    EXPECT_NO_THROW(session.run(values)) << inner_op;
  }
}

TEST(SessionLimits, HoldsAnyOneTensorToASize) {
  Tensor x(DType::Float32, {1000});
  std::fill_n(x.data<float>(), x.size(), 1.0f);
  struct Row {
    const char* name;
    std::function<ValueId(GraphBuilder&, ValueId)> build;
  };
  const Row rows[] = {
      {"planned",
       [](GraphBuilder& b, ValueId v) {
         return b.add("ReduceSum", {b.add("Concat", {v, v}, {{"axis", int64_t{0}}})});
       }},
      {"folded",
       [](GraphBuilder& b, ValueId v) {
         ValueId large = b.add("Expand", {b.scalar(1, DType::Float32), b.ints({2, 1000})});
         return b.add("ReduceSum", {b.add("Mul", {v, large})});
       }},
      {"sized while running",
       [](GraphBuilder& b, ValueId v) {
         ValueId many = b.add("Expand", {b.scalar(2, DType::Int64), b.add("Shape", {v})});
         ValueId one = b.add("Slice", {many, b.ints({0}), b.ints({1})});
         ValueId shape = b.add("Mul", {one, b.add("Size", {b.add("NonZero", {v})})});
         return b.add("ReduceSum", {b.add("ConstantOfShape", {shape})});
       }},
  };
  for (const Row& row : rows) {
    Graph graph(builtin_ops());
    ValueId v = graph.add_input("x", float_type({1000}));
    GraphBuilder b(graph);
    graph.outputs = {row.build(b, v)};
    SessionOptions options;
    options.max_tensor_bytes = 7999;
    EXPECT_EQ(kind_of_failure(graph, {{"x", x}}, options), ErrorKind::Limit) << row.name;
    options.max_tensor_bytes = 8000;
    EXPECT_NO_THROW(run_graph(graph, {{"x", x}}, options)) << row.name;
  }
}

// The thread sanitizer makes kernels, and what they do between two looks at the clock, so much
// slower.
#ifdef __SANITIZE_THREAD__
constexpr double slowness = 30;
#else
constexpr double slowness = 1;
#endif

// A product of matrices of this length takes seconds.
constexpr int64_t long_length = thinning > 1 ? 1000 : 3000;

Graph long_product() {
  Graph graph(builtin_ops());
  ValueId x =
      graph.add_input("x", Type::tensor(DType::Float64, Shape{Dim(long_length), Dim(long_length)}));
  GraphBuilder b(graph);
  graph.outputs = {b.add("ReduceSum", {b.add("MatMul", {x, x})})};
  return graph;
}

double seconds_of(const std::function<void()>& f) {
  auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Kernels that run long: none of them goes on far beyond its time.
TEST(SessionLimits, TimeIsCheckedInsideKernels) {
  struct Row {
    const char* name;
    std::function<ValueId(GraphBuilder&, ValueId)> build;
    Dims dims;
  };
  auto conv = [](GraphBuilder& b, ValueId x) {
    return b.add("Conv", {x, b.add("Slice", {x, b.ints({0}), b.ints({64}), b.ints({2})})});
  };
  const Row rows[] = {
      {"MatMul",
       [](GraphBuilder& b, ValueId x) {
         return b.add("MatMul", {x, x});
       },
       {4000, 4000}},
      {"Conv", conv, {8, 64, 96, 96}},
      {"Einsum",
       [](GraphBuilder& b, ValueId x) {
         return b.add("Einsum", {x, x, x}, {{"equation", std::string("ab,bc,cd->da")}});
       },
       {3500, 3500}},
      {"CumSum",
       [](GraphBuilder& b, ValueId x) {
         ValueId v = x;
         for (int k = 0; k < 500; ++k) v = b.add("CumSum", {v, b.int_scalar(1)});
         return v;
       },
       {1000, 10'000}},
      {"TopK",
       [](GraphBuilder& b, ValueId x) {
         return b.add_n("TopK", {x, b.ints({500'000})}, 2)[0];
       },
       {20, 1'000'000}},
      {"LSTM",
       [](GraphBuilder& b, ValueId x) {
         auto part = [&](std::vector<int64_t> shape) {
           int64_t count = 1;
           for (int64_t d : shape) count *= d;
           ValueId flat = b.add("Reshape", {x, b.ints({-1})});
           ValueId some = b.add("Slice", {flat, b.ints({0}), b.ints({count})});
           return b.add("Reshape", {some, b.ints(shape)});
         };
         return b.add("LSTM", {part({40'000, 1, 8}), part({1, 2048, 8}), part({1, 2048, 512})},
                      {{"hidden_size", int64_t{512}}});
       },
       {1 << 20}},
      {"GridSample",
       [](GraphBuilder& b, ValueId x) {
         ValueId grid =
             b.add("Transpose", {b.add("Slice", {x, b.ints({0}), b.ints({2}), b.ints({1})})},
                   {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
         return b.add("GridSample", {x, grid}, {{"mode", std::string("cubic")}});
       },
       {1, 16, 1200, 1200}},
      {"LRN",
       [](GraphBuilder& b, ValueId x) {
         return b.add("LRN", {x}, {{"size", int64_t{2001}}});
       },
       {1, 2000, 100, 100}},
      {"MaxPool",
       [](GraphBuilder& b, ValueId x) {
         return b.add("MaxPool", {x}, {{"kernel_shape", std::vector<int64_t>{500, 500}}});
       },
       {1, 4, 1500, 1500}},
      {"AveragePool",
       [](GraphBuilder& b, ValueId x) {
         return b.add("AveragePool", {x}, {{"kernel_shape", std::vector<int64_t>{500, 500}}});
       },
       {1, 4, 1500, 1500}},
  };
  for (const Row& row : rows) {
    Graph graph(builtin_ops());
    Shape shape;
    for (int64_t d : row.dims) shape.emplace_back(d);
    ValueId x = graph.add_input("x", float_type(shape));
    GraphBuilder b(graph);
    graph.outputs = {b.add("ReduceSum", {row.build(b, x)})};
    SessionOptions options;
    options.timeout_seconds = 0.2;
    Tensor value(DType::Float32, row.dims);
    for (int64_t k = 0; k < value.size(); ++k) {
      value.data<float>()[k] = static_cast<float>(k % 1013) * 1e-3f;
    }
    double seconds = seconds_of([&] {
      EXPECT_EQ(kind_of_failure(graph, {{"x", value}}, options), ErrorKind::Timeout) << row.name;
    });
    EXPECT_LT(seconds, 3 * slowness) << row.name;
  }
}

// The time of a run of a few nodes begins late, and anew with every run.
TEST(SessionLimits, EveryRunHasItsTime) {
  Tensor x = Tensor::of<float>({3}, {0, 0, 0});
  SessionOptions options;
  options.max_loop_iterations = INT64_MAX;
  options.timeout_seconds = 1e-9;
  EXPECT_EQ(kind_of_failure(loop("Add", 3, 3, false), {{"x", x}}, options), ErrorKind::Timeout);
  options.timeout_seconds = 0.2;
  double seconds = seconds_of([&] {
    EXPECT_EQ(kind_of_failure(loop("Add", int64_t{1} << 40, 3, false), {{"x", x}}, options),
              ErrorKind::Timeout);
  });
  EXPECT_GE(seconds, 0.2);
  EXPECT_LT(seconds, 3 * slowness);
  Session session(Model(std::make_shared<Graph>(loop("Add", 40, 3, false))), options);
  for (int run = 0; run < 2; ++run) {
    EXPECT_NO_THROW(session.run({{"x", x}}));
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

TEST(SessionLimits, CancelsAKernelFromAnotherThread) {
  Tensor x(DType::Float64, {long_length, long_length});
  std::fill_n(x.data<double>(), x.size(), 1.0);
  for (int threads : {1, 2}) {
    SessionOptions options;
    options.threads = threads;
    Session session(Model(std::make_shared<Graph>(long_product())), options);
    session.run({{"x", x}});
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      session.cancel();
    });
    double seconds = seconds_of([&] {
      try {
        session.run({{"x", x}});
        ADD_FAILURE() << "no error";
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::Cancelled);
      }
    });
    other.join();
    EXPECT_LT(seconds, 2 * slowness);
    EXPECT_NO_THROW(session.run({{"x", x}}));
  }
}

// Weights computed once are part of what a session may take, and so is each plan that it keeps.
TEST(SessionLimits, CountsPlansAndFoldedWeightsTogether) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", float_type({Dim::symbol("n")}));
  GraphBuilder b(graph);
  ValueId v = x;
  for (int k = 0; k < 4; ++k) v = b.add("Concat", {v, v}, {{"axis", int64_t{0}}});
  graph.outputs = {b.add("ReduceSum", {v})};
  auto account = std::make_shared<MemoryAccount>(INT64_MAX);
  Work work{.memory = account.get()};
  WorkScope scope(&work);
  Session session(Model(std::make_shared<Graph>(graph)), with_memory(4'000'000));
  for (int64_t n = 9000; n < 9020; ++n) {
    Tensor value(DType::Float32, {n});
    std::fill_n(value.data<float>(), n, 1.0f);
    session.run({{"x", value}});
    EXPECT_LT(account->used(), 4'100'000);
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
