// Dropout in training steps.
#include <gtest/gtest.h>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/execution.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

constexpr int64_t width = 256;

Tensor ones() {
  Tensor t(DType::Float64, {width});
  std::fill_n(t.data<double>(), width, 1.0);
  return t;
}

// sum(Dropout(x * w)), as a model without training_mode.
Graph model() {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float64, Shape{width}));
  ValueId w = graph.add_initializer("w", ones(), Role::Parameter);
  GraphBuilder b(graph);
  ValueId dropped = b.add("Dropout", {b.add("Mul", {x, w}), b.scalar(0.5, DType::Float64)});
  graph.outputs = {b.add("ReduceSum", {dropped}, {{"keepdims", int64_t{0}}})};
  return graph;
}

// Losses of a few steps with learning rate 0, so that only the elements dropped differ.
std::vector<double> losses(bool dropout, uint64_t seed) {
  TrainingOptions options;
  options.loss.name = "output";
  options.dropout = dropout;
  options.seed = seed;
  TrainingGraph training = make_training_graph(model(), options);
  std::vector<Type> types;
  for (ValueId v : training.graph.inputs) types.push_back(training.graph.value(v).type);
  std::vector<Tensor> state;
  for (const TrainingState& s : training.state) state.push_back(s.initial.clone());
  Execution execution(Plan::compile(training.graph, types), state);
  execution.bind_input(0, ones());
  execution.bind_input(training.lr_input(), Tensor::scalar(0.0));
  std::vector<double> all;
  RunControl control;
  for (int i = 0; i < 5; ++i) {
    execution.run(control);
    all.push_back(*execution.output(0).tensor.data<double>());
  }
  return all;
}

TEST(DropoutTraining, EveryStepDropsOtherElementsAndASeedRepeatsThem) {
  std::vector<double> a = losses(true, 1);
  EXPECT_EQ(losses(true, 1), a);
  EXPECT_NE(losses(true, 2), a);
  EXPECT_NE(a[0], a[1]);
  for (double loss : a) EXPECT_NEAR(loss, width, 80);
}

TEST(DropoutTraining, CanBeOff) { EXPECT_EQ(losses(false, 1), std::vector<double>(5, width)); }

}  // namespace

}  // namespace onnxrun
