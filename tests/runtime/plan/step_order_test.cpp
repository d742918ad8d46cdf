// State that is checked before it is overwritten.
#include "plan/step_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/fuse/elementwise.h"
#include "plan/execution.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

// The mean of (x w)^2, with `inputs` by 96 weights.
Graph model(int64_t inputs) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{4, inputs}));
  Tensor weights(DType::Float32, {inputs, 96});
  for (int64_t i = 0; i < weights.size(); ++i) {
    weights.data<float>()[i] = 0.01f * static_cast<float>(i % 17 - 8);
  }
  ValueId w = graph.add_initializer("w", std::move(weights), Role::Parameter);
  GraphBuilder b(graph);
  ValueId y = b.add("MatMul", {x, w});
  graph.outputs = {b.add("ReduceMean", {b.add("Mul", {y, y})}, {{"keepdims", int64_t{0}}})};
  return graph;
}

// Its training with Adam and a moving average, as sessions run it.
struct Step {
  explicit Step(int64_t inputs, bool optimize = true) : training(make(inputs)) {
    if (optimize) fuse_elementwise(training.graph);
    std::vector<Type> types;
    for (ValueId v : training.graph.inputs) types.push_back(training.graph.value(v).type);
    for (size_t k = 0; k < training.state.size(); ++k) state.push_back(training.beginning(k));
    plan = Plan::compile(training.graph, types, {.optimize = optimize});
    execution = std::make_unique<Execution>(plan, state);
    x = Tensor(DType::Float32, {4, inputs});
    for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = 0.1f * static_cast<float>(i % 7);
    execution->bind_input(0, x);
  }
  static TrainingGraph make(int64_t inputs) {
    TrainingOptions options;
    options.losses[0].name = "output";
    options.optimizer.name = "adam";
    options.ema = 0.9;
    return make_training_graph(model(inputs), options);
  }

  void run(float rate) {
    execution->bind_input(training.lr_input(), Tensor::scalar(rate));
    execution->run(RunControl());
  }
  bool checks_ahead() const {
    return std::any_of(plan->steps().begin(), plan->steps().end(),
                       [](const onnxrun::Step& s) { return s.is_checked_ahead; });
  }

  TrainingGraph training;
  std::vector<Tensor> state;
  std::shared_ptr<const Plan> plan;
  std::unique_ptr<Execution> execution;
  Tensor x;
};

std::vector<Tensor> copies(const std::vector<Tensor>& state) {
  std::vector<Tensor> result;
  for (const Tensor& t : state) result.push_back(t.clone());
  return result;
}

void expect_identical(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(identical(a[i], b[i])) << i;
}

constexpr int64_t few = 8, many = 300;

TEST(StepOrder, LargeUpdatesAreCheckedAheadAndNotCopied) {
  const Step small(few), large(many), plain(many, false);
  EXPECT_FALSE(small.checks_ahead());
  EXPECT_TRUE(large.checks_ahead()) << large.plan->to_string();
  EXPECT_FALSE(plain.checks_ahead());
  const int64_t bytes = large.state[0].bytes();
  EXPECT_LT(large.plan->arena_bytes(), 2 * bytes) << large.plan->to_string();
  EXPECT_GT(plain.plan->arena_bytes(), 3 * bytes);
  for (const Plan::Copy& c : large.plan->copies()) {
    if (c.state >= 0) {
      EXPECT_LT(large.state[static_cast<size_t>(c.state)].bytes(), bytes);
    }
  }
}

TEST(StepOrder, CheckingAheadChangesNoBit) {
  for (int threads : {1, 2, 8}) {
    const ThreadScope scope(threads);
    Step ahead(many), plain(many, false);
    for (int i = 0; i < 4; ++i) {
      ahead.run(0.01f);
      plain.run(0.01f);
    }
    expect_identical(ahead.state, plain.state);
  }
}

// The gradient is finite, its square, which Adam keeps, is not.
TEST(StepOrder, KeepsStateWhenAnUpdateIsNotFinite) {
  Step step(many), undisturbed(many);
  step.run(0.01f);
  undisturbed.run(0.01f);
  const float x = std::exchange(step.x.data<float>()[5], 1e14f);
  try {
    step.run(0.01f);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Numeric);
    const std::string text = e.what();
    EXPECT_NE(text.find("the new 'w"), std::string::npos) << text;
    EXPECT_NE(text.find("not is 'train/"), std::string::npos) << text;
  }
  expect_identical(step.state, undisturbed.state);
  step.x.data<float>()[5] = x;
  step.run(0.01f);
  undisturbed.run(0.01f);
  expect_identical(step.state, undisturbed.state);
}

TEST(StepOrder, KeepsStateWhenAGradientIsNotFinite) {
  Step step(many);
  step.run(0.01f);
  const std::vector<Tensor> before = copies(step.state);
  step.x.data<float>()[5] = 1e30f;
  EXPECT_THROW(step.run(0.01f), Error);
  expect_identical(step.state, before);
}

}  // namespace

}  // namespace onnxrun
