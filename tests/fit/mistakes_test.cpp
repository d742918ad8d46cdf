// What people try, and what they are told.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "builtin_ops.h"
#include "fit/class_data.h"
#include "graph/builder.h"
#include "onnxrun/fit.h"

namespace onnxrun::testing {

namespace {

Tensor ramp(const Dims& dims) {
  Tensor t(DType::Float32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(i * 7 % 11) / 11;
  return t;
}

// x [N,4] times w, plus b, with what `build` puts behind it, as output "y".
using Build = std::function<ValueId(GraphBuilder&, ValueId)>;
Model linear(const Build& build = {}) {
  auto graph = std::make_shared<Graph>(builtin_ops());
  GraphBuilder b(*graph);
  ValueId x = graph->add_input("x", Type::tensor(DType::Float32, Shape{Dim::unknown(), Dim(4)}));
  ValueId w = graph->add_initializer("w", ramp({4, 3}), Role::Parameter);
  ValueId bias = graph->add_initializer("b", ramp({3}), Role::Parameter);
  ValueId y = b.add("Add", {b.add("MatMul", {x, w}), bias});
  if (build) y = build(b, y);
  graph->value(y).name = "y";
  graph->outputs = {y};
  return Model(graph);
}

Model normed() {
  return linear([](GraphBuilder& b, ValueId y) {
    std::vector<ValueId> inputs = {y};
    for (const char* name : {"scale", "shift", "mean", "var"}) {
      Role role = inputs.size() < 3 ? Role::Parameter : Role::Buffer;
      inputs.push_back(b.graph().add_initializer(name, ramp({3}), role));
    }
    return b.add("BatchNormalization", inputs);
  });
}

Model embedding() {
  auto graph = std::make_shared<Graph>(builtin_ops());
  GraphBuilder b(*graph);
  ValueId x = graph->add_input("x", Type::tensor(DType::Int64, Shape{Dim::unknown()}));
  ValueId y = b.add("Gather", {graph->add_initializer("w", ramp({5, 3}), Role::Parameter), x});
  graph->value(y).name = "y";
  graph->outputs = {y};
  return Model(graph);
}

NamedTensors numbers(int64_t n) { return {{"x", ramp({n, 4})}, {"target", ramp({n, 3})}}; }

NamedTensors labels(int64_t n) {
  Tensor t(DType::Int64, {n});
  for (int64_t i = 0; i < n; ++i) t.data<int64_t>()[i] = i % 3;
  return {{"x", ramp({n, 4})}, {"target", t}};
}

struct Mistake {
  const char* said;
  Model model;
  NamedTensors data;
  std::function<void(FitOptions&)> options;
};

TEST(Mistakes, AreSaidBeforeTheFirstStep) {
  const Tensor indices = Tensor::of<int64_t>({3}, {0, 4, 2});
  const NamedTensors rows = {{"x", indices}, {"target", ramp({3, 3})}};
  auto unbiased = [](FitOptions& o) {
    o.trainer.unbiased_variance = true;
    o.feed.batch_size = 8;
  };
  const Mistake mistakes[] = {
      {"'accuracy' counts classes, but target 'target' holds 0.6", linear(), numbers(9),
       [](FitOptions& o) { o.metrics = {"accuracy"}; }},
      {"'mae' compares numbers, but loss 'cross_entropy' has classes", linear(), labels(9),
       [](FitOptions& o) { o.metrics = {"mae"}; }},
      {"the last batch has one, which has no variance", normed(), numbers(9), unbiased},
      {"takes whole numbers (int64)", embedding(), rows,
       [](FitOptions& o) {
         o.feed.scale = {{"x", 0.5}};
       }},
      {"takes whole numbers (int64)", embedding(), rows,
       [](FitOptions& o) { o.feed.standardize = {"x"}; }},
      {"loss 'hinge' takes targets of -1 and 1, but 'target' holds 0", linear(), numbers(9),
       [](FitOptions& o) { o.trainer.loss.name = "hinge"; }},
      {"loss 'bce' takes targets from 0 to 1, but 'target' holds 2",
       linear(),
       {{"x", ramp({9, 4})}, {"target", Tensor::of<float>({1, 3}, {0, 1, 2})}},
       [](FitOptions& o) { o.trainer.loss.name = "bce"; }},
      {"target 'target' holds class 3, but output 'y' has 3",
       linear(),
       {{"x", ramp({3, 4})}, {"target", Tensor::of<int64_t>({3}, {0, 3, 1})}},
       [](FitOptions&) {}},
      {"target 'target' holds class -1, but output 'y' has 3, from 0 on (--ignore-index",
       linear(),
       {{"x", ramp({3, 4})}, {"target", Tensor::of<float>({3}, {0, 2, -1})}},
       [](FitOptions& o) { o.trainer.loss = {.name = "cross_entropy", .ignore_index = 1}; }},
      {"the factor of 'x' is 0", linear(), numbers(9),
       [](FitOptions& o) {
         o.feed.scale = {{"x", 0.0}};
       }},
      {"nothing is left to train on", linear(), numbers(9),
       [](FitOptions& o) { o.validation_split = o.test_split = 0.5; }},
      {"all class weights are 0", linear(), labels(9),
       [](FitOptions& o) {
         o.trainer.loss = {.name = "cross_entropy", .class_weights = {0, 0, 0}};
       }},
      {"the validation data : the data have no array 'x'", linear(), numbers(9),
       [](FitOptions& o) {
         o.validation = {{"z", ramp({3, 4})}, {"target", ramp({3, 3})}};
       }},
  };
  for (const Mistake& m : mistakes) {
    FitOptions options;
    m.options(options);
    try {
      Fit accepted(m.model, m.data, options);
      ADD_FAILURE() << m.said << accepted.steps();
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(m.said), std::string::npos) << e.what();
    }
  }
}

TEST(Mistakes, LeaveWhatIsNone) {
  FitOptions ignoring;
  ignoring.trainer.loss = {.name = "cross_entropy", .ignore_index = -1};
  ignoring.metrics = {"accuracy", "accuracy"};
  NamedTensors some = {{"x", ramp({3, 4})}, {"y", Tensor::of<int64_t>({3}, {0, -1, 2})}};
  EXPECT_EQ(fit(linear(), some, ignoring).history()[0].metrics.size(), 1U);
  FitOptions options;
  options.trainer.unbiased_variance = true;
  options.feed.batch_size = 8;
  EXPECT_EQ(fit(normed(), numbers(10), options).steps(), 2);
  options.drop_last = true;
  EXPECT_EQ(fit(normed(), numbers(9), options).steps(), 1);
  options.drop_last = false;
  options.trainer.batch_statistics = false;
  EXPECT_EQ(fit(normed(), numbers(9), options).steps(), 2);
  // Numbers that are 0 and 1 may be classes.
  FitOptions measured;
  measured.metrics = {"accuracy", "r2"};
  NamedTensors bits = numbers(9);
  for (float& v : bits[1].tensor.span<float>()) v = v > 0.5F ? 1.F : 0.F;
  EXPECT_EQ(fit(linear(), bits, measured).history().size(), 1U);
}

size_t warnings(const Model& model, const NamedTensors& data, const FitOptions& options) {
  return Fit(model, data, options).summary().warnings.size();
}

TEST(Mistakes, AreWarnedOf) {
  FitOptions options;
  options.warmup = 2;
  options.epochs = 2;
  EXPECT_EQ(warnings(linear(), numbers(9), options), 0U);
  options.warmup = 3;
  EXPECT_EQ(warnings(linear(), numbers(9), options), 1U);
  auto behind = [](const char* op) {
    return linear([op](GraphBuilder& b, ValueId y) { return b.add(op, {y}); });
  };
  for (const char* loss : {"nll", "nll_probs"}) {
    FitOptions o;
    o.trainer.loss.name = loss;
    EXPECT_EQ(warnings(linear(), labels(9), o), 1U) << loss;
    const char* right = std::string(loss) == "nll" ? "LogSoftmax" : "Softmax";
    EXPECT_EQ(warnings(behind(right), labels(9), o), 0U) << loss;
  }
}

// Arrays called like the outputs are what these learn.
TEST(Mistakes, OutputsHaveTheArraysOfTheirNames) {
  auto graph = std::make_shared<Graph>(builtin_ops());
  GraphBuilder b(*graph);
  ValueId x = graph->add_input("x", Type::tensor(DType::Float32, Shape{Dim::unknown(), Dim(4)}));
  for (const char* name : {"size", "kind"}) {
    ValueId w = graph->add_initializer(std::string("w_") + name, ramp({4, 3}), Role::Parameter);
    ValueId y = b.add("MatMul", {x, w});
    graph->value(y).name = name;
    graph->outputs.push_back(y);
  }
  NamedTensors data = {{"x", ramp({9, 4})}, {"size", ramp({9, 3})}, {"kind", labels(9)[1].tensor}};
  FitOptions options;
  options.metrics = {"accuracy", "mae"};
  Fit training = fit(Model(graph), data, options);
  EXPECT_EQ(training.summary().loss, "mse, cross_entropy");
  EXPECT_EQ(training.summary().metrics,
            (std::vector<std::string>{"size_loss", "kind_loss", "size_mae", "kind_accuracy"}));
  EvaluationOptions counting;
  counting.confusion = true;
  EXPECT_EQ(evaluate(Model(graph), data, counting).confusion.dims(), (Dims{3, 3}));
  data[1].name = "target";  // is the first output's
  EXPECT_EQ(fit(Model(graph), data, {}).summary().loss, "mse");
}

}  // namespace

}  // namespace onnxrun::testing
