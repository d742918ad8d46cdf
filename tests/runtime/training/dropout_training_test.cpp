// Dropout in training steps.
#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/execution.h"
#include "training/step_model.h"
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
Graph dropout_model() {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float64, Shape{width}));
  ValueId w = graph.add_initializer("w", ones(), Role::Parameter);
  GraphBuilder b(graph);
  ValueId dropped = b.add("Dropout", {b.add("Mul", {x, w}), b.scalar(0.5, DType::Float64)});
  graph.outputs = {b.add("ReduceSum", {dropped}, {{"keepdims", int64_t{0}}})};
  return graph;
}

Type vector() { return Type::tensor(DType::Float64, Shape{width}); }

// sum(f(x)), where f is Dropout(h * w) inside an If, twice in a Loop, or twice in a Scan.
Graph nested(const std::string& op) {
  Graph graph(builtin_ops()), body(builtin_ops());
  ValueId x = graph.add_input("x", vector());
  ValueId w = graph.add_initializer("w", ones(), Role::Parameter);
  GraphBuilder b(graph), inner(body);
  ValueId go = no_value;
  std::vector<ValueId> inputs;
  NodeOptions options;
  options.captures = {w};
  if (op == "Loop") {
    body.add_input("i", Type::tensor(DType::Int64, Shape{}));
    go = body.add_input("go", Type::tensor(DType::Bool, Shape{}));
    inputs = {b.int_scalar(2), no_value, x};
  } else if (op == "Scan") {
    inputs = {x, b.ints({0, 0})};
    options.attributes = {{"num_scan_inputs", int64_t{1}}};
  } else {
    inputs = {b.constant(Tensor::scalar(true))};
    options.captures.push_back(x);
  }
  ValueId h = op == "If" ? no_value : body.add_input("h", vector());
  if (op == "Scan") body.add_input("element", Type::tensor(DType::Int64, Shape{}));
  ValueId weight = body.add_input("weight", vector());
  if (op == "If") h = body.add_input("h", vector());
  ValueId product = inner.add("Mul", {h, weight});
  body.outputs = {inner.add("Dropout", {product, inner.scalar(0.5, DType::Float64)})};
  if (op == "Loop") body.outputs.insert(body.outputs.begin(), go);
  options.bodies.push_back(body);
  if (op == "If") options.bodies.push_back(body);
  ValueId y = b.add_n(op, inputs, 1, options)[0];
  graph.outputs = {b.add("ReduceSum", {y}, {{"keepdims", int64_t{0}}})};
  return graph;
}

// Losses of a few steps with learning rate 0, so that only the elements dropped differ.
// `moved`, if not null, gets the sum of what the parameters lose in the first with this rate.
std::vector<double> losses(bool dropout, uint64_t seed, const Graph& graph = dropout_model(),
                           double lr = 0, double* moved = nullptr) {
  TrainingOptions options;
  options.losses[0].name = "output";
  options.dropout = dropout;
  options.seed = seed;
  TrainingGraph training = make_training_graph(graph, options);
  std::vector<Type> types;
  for (ValueId v : training.graph.inputs) types.push_back(training.graph.value(v).type);
  std::vector<Tensor> state;
  for (size_t k = 0; k < training.state.size(); ++k) state.push_back(training.beginning(k));
  Execution execution(Plan::compile(training.graph, types), state);
  execution.bind_input(0, ones());
  execution.bind_input(training.lr_input(), Tensor::scalar(lr));
  std::vector<double> all;
  RunControl control;
  for (int i = 0; i < 5; ++i) {
    execution.run(control);
    all.push_back(*execution.output(0).tensor.data<double>());
    if (moved && i == 0) {
      const double* w = state[0].data<double>();
      *moved = width - std::accumulate(w, w + width, 0.0);
    }
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

// The backward pass computes a body again and must find the elements dropped that were. The loss is
// homogeneous in the weights, which are 1, so its gradient adds up to the loss times the degree.
TEST(DropoutTraining, BodiesDropInTheGradientWhatTheyDropped) {
  for (auto [op, degree] : {std::pair("If", 1), {"Loop", 2}, {"Scan", 2}}) {
    SCOPED_TRACE(op);
    double moved = 0;
    std::vector<double> a = losses(true, 1, nested(op), 1, &moved);
    EXPECT_NEAR(moved, degree * a[0], 1e-9);
    std::vector<double> still = losses(true, 1, nested(op));
    EXPECT_EQ(losses(true, 1, nested(op)), still);
    EXPECT_NE(still, std::vector<double>(5, still[0]));
    EXPECT_NE(losses(true, 2, nested(op)), still);
    TrainingOptions options;
    options.losses[0].name = "output";
    EXPECT_THROW(make_step_model(make_training_graph(nested(op), options)), Error);
    options.dropout = false;
    make_step_model(make_training_graph(nested(op), options));
  }
}

}  // namespace

}  // namespace onnxrun
