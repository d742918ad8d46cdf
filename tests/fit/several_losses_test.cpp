// Several losses, and trainers by themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "builtin_ops.h"
#include "fit/class_data.h"
#include "graph/builder.h"
#include "onnxrun/fit.h"
#include "support/corpus.h"

namespace onnxrun::testing {

namespace {

// Both halves of a step are the whole one, to the bit.
TEST(Trainer, StepsInTwoHalves) {
  for (const char* optimizer : {"sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"}) {
    TrainerOptions options;
    options.loss.name = "cross_entropy";
    options.optimizer = optimizer;
    Model model = with_batch_norm();
    Trainer whole(model, options), halves(model, options);
    Dims dims = {2, 3, 16, 16};
    Tensor x(DType::Float32, dims);
    for (int64_t i = 0; i < x.size(); ++i) {
      x.data<float>()[i] = static_cast<float>(i % 37) / 37;
    }
    Tensor target = Tensor::of<int64_t>({2}, {1, 0});
    const std::string input = model.inputs()[0].name;
    for (int step = 0; step < 3; ++step) {
      double loss = whole.step({{input, x}}, target);
      EXPECT_EQ(halves.gradients({{input, x}}, target), loss);
      halves.apply();
    }
    expect_same_weights(whole, halves, optimizer);
  }
}

// Numbers a and classes b of one hidden layer.
Model two_heads() {
  auto graph = std::make_shared<Graph>(builtin_ops());
  GraphBuilder b(*graph);
  auto weight = [&](const char* name, Dims dims) {
    Tensor t(DType::Float32, std::move(dims));
    Philox random(3, static_cast<uint64_t>(t.size()));
    for (int64_t i = 0; i < t.size(); ++i) {
      t.data<float>()[i] = static_cast<float>(random.uniform(static_cast<uint64_t>(i))) - 0.5F;
    }
    return graph->add_initializer(name, t, Role::Parameter);
  };
  Shape shape = {Dim::unknown(), Dim(16)};
  ValueId x = graph->add_input("x", Type::tensor(DType::Float32, shape));
  ValueId h = b.add("Tanh", {b.add("MatMul", {x, weight("w", {16, 6})})});
  for (auto [name, width] : {std::pair("a", 3), {"b", 8}}) {
    ValueId y = b.add("MatMul", {h, weight(width == 3 ? "va" : "vb", {6, width})});
    graph->value(y).name = name;
    graph->outputs.push_back(y);
  }
  return Model(std::move(graph));
}

NamedTensors two_headed_data(int64_t samples) {
  NamedTensors data = class_data(samples);
  Tensor numbers(DType::Float32, {samples, 3}), weights(DType::Float64, {samples});
  for (int64_t i = 0; i < 3 * samples; ++i) numbers.data<float>()[i] = static_cast<float>(i % 5);
  for (int64_t i = 0; i < samples; ++i) weights.data<double>()[i] = static_cast<double>(i % 3);
  return {data[0], {"a", numbers}, {"b", data[1].tensor}, {"w", weights}};
}

FitOptions two_losses() {
  FitOptions options = adam(2);
  options.trainer.loss = {.name = "mse", .output = "a"};
  options.trainer.more_losses = {{.name = "cross_entropy", .output = "b", .weight = 0.3}};
  options.metrics = {"mae"};
  return options;
}

TEST(Fit, MinimisesTheSumOfSeveralLosses) {
  FitOptions options = two_losses();
  options.feed.batch_size = 10;
  options.validation_split = 0.2;
  options.trainer.more_losses[0].label_smoothing = 0.1;
  options.metrics = {};
  Fit training = fit(two_heads(), two_headed_data(50), options);
  EXPECT_EQ(training.summary().loss, "mse, 0.3 cross_entropy");
  EXPECT_EQ(training.summary().metrics, (std::vector<std::string>{"a_loss", "b_loss"}));
  for (const EpochRecord& r : training.history()) {
    EXPECT_NEAR(r.loss, *r.value("a_loss") + 0.3 * *r.value("b_loss"), 1e-5);
    EXPECT_NEAR(*r.value("val_loss"), *r.value("val_a_loss") + 0.3 * *r.value("val_b_loss"), 1e-5);
  }
}

// Several losses of one output have one target, which needs no name of its own.
TEST(Fit, MinimisesSeveralLossesOfOneOutput) {
  EvaluationOptions options;
  auto loss = [&](const char* target) {
    options.feed.targets.clear();
    if (*target) options.feed.targets = {target};
    NamedTensors data = {{"x", class_data(24)[0].tensor},
                         {"target", two_headed_data(24)[1].tensor}};
    return evaluate(two_heads(), data, options).loss;
  };
  options.loss = {.name = "mse", .output = "a"};
  double mse = loss("");
  options.loss.name = "mae";
  double mae = loss("");
  options.loss.weight = 0.5;
  options.more_losses = {{.name = "mse", .output = "a"}};
  for (const char* target : {"", "target", "a=target"}) {
    EXPECT_NEAR(loss(target), 0.5 * mae + mse, 1e-6) << target;
  }
}

// Batches cut a data set, losses and metrics of several outputs are those of all samples.
TEST(Fit, EvaluatesSeveralOutputs) {
  EvaluationOptions options;
  options.more_losses = {{.name = "cross_entropy", .output = "b", .weight = 0.5}};
  options.loss = {.name = "mse", .output = "a"};
  options.feed.sample_weights = "w";
  options.double_precision = true;
  options.feed.batch_size = 50;
  Evaluation whole = evaluate(two_heads(), two_headed_data(50), options);
  options.feed.batch_size = 7;
  Evaluation cut = evaluate(two_heads(), two_headed_data(50), options);
  EXPECT_NEAR(whole.loss, cut.loss, 1e-12);
  ASSERT_EQ(whole.metrics.size(), 2U);
  EXPECT_EQ(whole.metrics[1].first, "b_loss");
  EXPECT_NEAR(whole.metrics[1].second, cut.metrics[1].second, 1e-12);
  FitOptions same = two_losses();
  same.trainer.more_losses[0].weight = 0.5;
  same.trainer.double_precision = true;
  same.feed.sample_weights = "w";
  same.validation = two_headed_data(50);
  same.metrics = {};
  Fit training(two_heads(), two_headed_data(50), same);
  EXPECT_NEAR(training.evaluate(Fit::Part::Validation).loss, whole.loss, 1e-12);
}

TEST(Fit, GoesOnToTheBitWithSeveralLosses) {
  FitOptions options = two_losses();
  options.feed.sample_weights = "w";
  options.metrics = {};
  NamedTensors data = two_headed_data(30);
  Fit whole = fit(two_heads(), data, options);
  auto stop = std::make_shared<StopAt>(3);
  options.callbacks = {stop};
  Fit part = fit(two_heads(), data, options);
  options.callbacks = {};
  Fit rest(two_heads(), data, options);
  NamedTensors state = stop->state;
  rest.set_state(state);
  rest.run();
  expect_same_weights(whole.trainer(), rest.trainer());
  EXPECT_EQ(whole.history().back().metrics, rest.history().back().metrics);
}

TEST(Fit, RefusesLossesThatDoNotGoTogether) {
  auto rejects = [](auto change, const std::string& part) {
    FitOptions options = two_losses();
    options.metrics = {};
    change(options);
    try {
      Fit accepted(two_heads(), two_headed_data(8), options);
      ADD_FAILURE() << part << ' ' << accepted.history().size();
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  rejects([](FitOptions& o) { o.trainer.more_losses[0].reduction = Reduction::Sum; },
          "one reduction");
  rejects([](FitOptions& o) { o.trainer.more_losses[0].output = "c"; }, "no output 'c'");
  rejects([](FitOptions& o) { o.trainer.more_losses[0].weight = NAN; }, "weight of a loss is nan");
  rejects([](FitOptions& o) { o.feed.targets = {"a=nothing"}; }, "no array 'nothing'");
  rejects([](FitOptions& o) { o.feed.targets = {"a=a", "a=b"}; }, "two targets");
  rejects([](FitOptions& o) { o.feed.targets = {"target"}; }, "no loss reads the target 'target'");
  rejects([](FitOptions& o) { o.feed.sample_weights = "a"; }, "sample weights");
  rejects([](FitOptions& o) { o.metrics = {"beauty"}; }, "no metric 'beauty'");
  rejects([](FitOptions& o) { o.trainer.loss.graph = two_heads().shared_graph(); },
          "called like an output");
}

// Averages by hand; what is shown, evaluated and saved are they, what steps go on from is not.
TEST(Trainer, KeepsAverages) {
  TrainerOptions options;
  options.loss.name = "nll";
  options.lr = 0.5;
  Trainer plain(classifier(), options);
  options.ema = 0.75;
  Trainer averaged(classifier(), options);
  NamedTensors data = class_data(8);
  std::vector<double> average;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(plain.step({{"x", data[0].tensor}}, data[1].tensor),
              averaged.step({{"x", data[0].tensor}}, data[1].tensor));
    std::vector<double> now = to_doubles(plain.parameters().part(0));
    if (i == 0) average = now;
    for (size_t k = 0; k < now.size(); ++k) average[k] = 0.75 * average[k] + 0.25 * now[k];
  }
  std::string name = plain.parameters().parts[0].name;
  std::vector<double> shown = to_doubles(averaged.weights().at(name));
  for (size_t k = 0; k < shown.size(); ++k) EXPECT_NEAR(shown[k], average[k], 1e-6);
  EXPECT_TRUE(identical(plain.parameters().values, averaged.parameters().values));
  Trainer::Evaluation e = averaged.evaluate({{"x", data[0].tensor}}, data[1].tensor);
  NamedTensors weights;
  for (const auto& [n, t] : averaged.weights()) weights.push_back({n, t.clone()});
  plain.set_weights(weights);
  EXPECT_EQ(e.loss, plain.evaluate({{"x", data[0].tensor}}, data[1].tensor).loss);
  for (double wrong : {-0.1, 1.0, double(NAN)}) {
    options.ema = wrong;
    EXPECT_THROW(Trainer(classifier(), options), Error);
  }
}

TEST(Trainer, StartsAnew) {
  TrainerOptions options;
  options.loss = {.name = "mse", .output = "a"};
  auto values = [&](const std::string& how, uint64_t seed = 0) {
    options.initial = {{"w", how}};
    options.seed = seed;
    return to_doubles(Trainer(two_heads(), options).weights().at("w"));
  };
  auto most = [](const std::vector<double>& v) {
    double m = 0;
    for (double x : v) m = std::max(m, std::abs(x));
    return m;
  };
  double bound = std::sqrt(6.0 / (16 + 6));
  EXPECT_LE(most(values("xavier")), bound);
  EXPECT_GT(most(values("xavier")), 0.8 * bound);
  EXPECT_EQ(values("xavier"), values("xavier"));
  EXPECT_NE(values("xavier"), values("xavier", 1));
  EXPECT_EQ(most(values("zeros")), 0);
  double squares = 0;
  for (double x : values("he")) squares += x * x / 96;
  EXPECT_NEAR(squares, 2.0 / 16, 0.04);  // [in,out] of a MatMul
  for (double x : values("uniform:2:3")) EXPECT_TRUE(x >= 2 && x <= 3);
  for (const char* wrong : {"", "ones", "uniform", "uniform:3:2", "normal:0:-1", "normal:0:x"}) {
    EXPECT_THROW(values(wrong), Error) << wrong;
  }
}

TEST(Trainer, ShowsItsBuffers) {
  TrainerOptions options;
  options.loss.name = "nll";
  options.optimizer = "momentum";
  options.lr = 0.5;
  Trainer trainer(classifier(), options);
  NamedTensors data = class_data(8);
  trainer.gradients({{"x", data[0].tensor}}, data[1].tensor);
  FlatTensors p = trainer.parameters(), g = trainer.gradient_buffer();
  ASSERT_EQ(p.parts.size(), trainer.trained().size());
  Tensor before = p.values.clone();
  trainer.apply();
  for (int64_t i = 0; i < p.values.size(); ++i) {
    float moved = before.data<float>()[i] - 0.5F * g.values.data<float>()[i];
    EXPECT_EQ(p.values.data<float>()[i], moved);
    EXPECT_EQ(trainer.slots("momentum").values.data<float>()[i], g.values.data<float>()[i]);
  }
  EXPECT_THROW(trainer.slots("v"), Error);
  // What is written there is what the next step takes.
  std::fill_n(p.values.data<float>(), p.values.size(), 0.F);
  EXPECT_EQ(trainer.weights().at(p.parts[0].name).data<float>()[0], 0.F);
}

}  // namespace

}  // namespace onnxrun::testing
