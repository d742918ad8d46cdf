// What a plan does with memory.
#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/execution.h"
#include "support/allocations.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

TEST(PlaceBuffers, KeepsLivesApart) {
  std::mt19937 random(1);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<Buffer> buffers;
  for (int i = 0; i < 200; ++i) {
    Buffer b{.kind = Buffer::Kind::Arena, .bytes = 1 + below(5000)};
    b.first = below(50);
    b.last = b.first + below(10);
    buffers.push_back(b);
  }
  int64_t arena = place_buffers(buffers), all = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& a = buffers[i];
    all += a.bytes;
    EXPECT_EQ(a.offset % 64, 0);
    EXPECT_LE(a.offset + a.bytes, arena);
    for (size_t k = 0; k < i; ++k) {
      const Buffer& b = buffers[k];
      bool meet = a.first <= b.last && b.first <= a.last;
      bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      EXPECT_FALSE(meet && overlap) << i << " and " << k;
    }
  }
  EXPECT_LT(arena, all / 2);
}

// tanh(x * w) and its square, summed; float32.
Graph model() {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("n"), 8}));
  ValueId w = graph.add_initializer("w", Tensor::of<float>({8, 8}, std::vector<float>(64, 0.1f)),
                                    Role::Parameter);
  GraphBuilder b(graph);
  ValueId y = b.add("Tanh", {b.add("MatMul", {x, w})});
  ValueId flat = b.reshape(y, b.ints({-1}));
  graph.outputs = {b.add("ReduceSum", {b.add("Mul", {flat, flat})}, {{"keepdims", int64_t{0}}})};
  return graph;
}

std::vector<Type> types_of(const Graph& graph, int64_t n) {
  std::vector<Type> types;
  for (ValueId v : graph.inputs) {
    Type type = graph.value(v).type;
    for (Dim& d : *type.shape) {
      if (!d.is_known()) d = n;
    }
    types.push_back(type);
  }
  return types;
}

TEST(Plan, ReshapeIsAView) {
  Graph graph = model();
  auto plan = Plan::compile(graph, types_of(graph, 4));
  EXPECT_EQ(plan->steps().size(), 4u) << plan->to_string();
  EXPECT_FALSE(plan->has_dynamic_steps());
}

TEST(Plan, ElementwiseOperatorsWorkInPlace) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{100}));
  GraphBuilder b(graph);
  ValueId y = x;
  for (int i = 0; i < 10; ++i) y = b.add(i % 2 == 0 ? "Sigmoid" : "Tanh", {y});
  graph.outputs = {b.add("ReduceSum", {y})};
  EXPECT_LE(Plan::compile(graph, types_of(graph, 0))->arena_bytes(), 448);
}

TEST(Plan, ArenaIsLimited) {
  Graph graph = model();
  EXPECT_THROW(Plan::compile(graph, types_of(graph, 1000), {.max_memory = 1000}), Error);
}

// A step as sessions run it: everything bound, state in place.
struct BoundStep {
  explicit BoundStep(int64_t n) : training(make(n)), x(DType::Float32, {n, 8}) {
    std::fill_n(x.data<float>(), x.size(), 0.5f);
    for (size_t k = 0; k < training.state.size(); ++k) state.push_back(training.beginning(k));
    auto plan = Plan::compile(training.graph, types_of(training.graph, n));
    execution = std::make_unique<Execution>(plan, state);
    execution->bind_input(0, x);
    execution->bind_input(training.lr_input(), Tensor::scalar(0.01f));
    for (size_t k = 0; k < training.graph.outputs.size(); ++k) {
      execution->bind_output(k, Tensor(DType::Float32, {}));
    }
  }
  static TrainingGraph make(int64_t) {
    TrainingOptions options;
    options.losses[0].name = "output";
    options.optimizer.name = "adam";
    return make_training_graph(model(), options);
  }

  TrainingGraph training;
  Tensor x;
  std::vector<Tensor> state;
  std::unique_ptr<Execution> execution;
};

TEST(Execution, UpdatesStateInPlace) {
  BoundStep step(4);
  float before = step.state[0].data<float>()[0];
  const void* memory = step.state[0].raw();
  step.execution->run(RunControl());
  EXPECT_EQ(step.state[0].raw(), memory);
  EXPECT_LT(step.state[0].data<float>()[0], before);
}

TEST(Execution, StepsOfStaticShapesAllocateNothing) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  BoundStep step(4);
  RunControl control;
  step.execution->run(control);
  int64_t before = allocations();
  for (int i = 0; i < 10; ++i) step.execution->run(control);
  EXPECT_EQ(allocations(), before);
}

// A convolution of as many channels as vectors of them are for, and both of its gradients.
TEST(Execution, ConvolutionsAllocateNothing) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  Graph graph(builtin_ops());
  const Type image = Type::tensor(DType::Float32, Shape{2, 16, 9, 9});
  ValueId x = graph.add_input("x", image), dy = graph.add_input("dy", image);
  ValueId w = graph.add_input("w", Type::tensor(DType::Float32, Shape{16, 16, 3, 3}));
  GraphBuilder b(graph);
  const Attributes padded = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  graph.outputs = {b.add("Conv", {x, w}, padded),
                   b.add("onnxrun.ConvInputGrad", {dy, w, b.ints({2, 16, 9, 9})}, padded),
                   b.add("onnxrun.ConvWeightGrad", {x, dy, b.ints({16, 16, 3, 3})}, padded)};
  auto plan = Plan::compile(graph, types_of(graph, 0));
  EXPECT_NE(plan->to_string().find("by channels"), std::string::npos) << plan->to_string();
  Execution execution(plan);
  for (size_t k = 0; k < 3; ++k) {
    Tensor t(DType::Float32, to_dims(*graph.value(graph.inputs[k]).type.shape));
    std::fill_n(t.data<float>(), t.size(), 0.5f);
    execution.bind_input(k, t);
    execution.bind_output(
        k,
        Tensor(DType::Float32, to_dims(*plan->graph().value(plan->graph().outputs[k]).type.shape)));
  }
  RunControl control;
  execution.run(control);
  const int64_t before = allocations();
  for (int i = 0; i < 10; ++i) execution.run(control);
  EXPECT_EQ(allocations(), before);
}

TEST(Execution, KeepsStateWhenALossIsNotFinite) {
  BoundStep step(4);
  step.x.data<float>()[0] = std::numeric_limits<float>::infinity();
  step.x.data<float>()[1] = -std::numeric_limits<float>::infinity();
  std::vector<Tensor> before;
  for (const Tensor& t : step.state) before.push_back(t.clone());
  try {
    step.execution->run(RunControl());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Numeric);
    EXPECT_NE(std::string(e.what()).find("MatMul"), std::string::npos) << e.what();
  }
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(identical(step.state[i], before[i])) << i;
}

}  // namespace

}  // namespace onnxrun
