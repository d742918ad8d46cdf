// Trainings as a program has them.
#include "onnxrun/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnxrun/callbacks.h"
#include "support/corpus.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

Model classifier() { return Model::load(CorpusCase("s2_clf_16_32_8_dyn").model_path()); }
Model with_batch_norm() { return Model::load(CorpusCase("resnet_bn_leg").model_path()); }

// Samples whose class is where their numbers are largest, by a fixed rule.
NamedTensors class_data(int64_t samples, int64_t shift = 0) {
  Tensor x(DType::Float32, {samples, 16}), y(DType::Int64, {samples});
  for (int64_t i = 0; i < samples; ++i) {
    int64_t label = (i * 5 + shift) % 8;
    for (int64_t k = 0; k < 16; ++k) {
      auto noise = static_cast<float>((i * 31 + k * 17 + shift) % 23) / 23;
      x.data<float>()[i * 16 + k] = noise + (k == 2 * label ? 1.5F : 0.F);
    }
    y.data<int64_t>()[i] = label;
  }
  return {{"x", x}, {"target", y}};
}

FitOptions adam(int64_t epochs = 3) {
  FitOptions o;
  o.trainer.optimizer = "adam";
  o.trainer.lr = 0.01;
  o.epochs = epochs;
  o.feed.batch_size = 8;
  return o;
}

void expect_same_weights(const Trainer& a, const Trainer& b, const std::string& what = "") {
  std::map<std::string, Tensor> other = b.weights();
  for (const auto& [name, value] : a.weights()) {
    EXPECT_TRUE(identical(value, other.at(name))) << name << " " << what;
  }
}

TEST(Fit, LearnsAndRemembers) {
  FitOptions options = adam(12);
  options.validation_split = 0.25;
  options.test = class_data(16, 3);
  options.metrics = {"accuracy"};
  Fit training = fit(classifier(), class_data(64), options);
  ASSERT_EQ(training.history().size(), 12U);
  const EpochRecord& last = training.history().back();
  EXPECT_EQ(last.epoch, 12);
  EXPECT_EQ(last.step, 12 * 6);
  EXPECT_LT(last.loss, training.history().front().loss);
  EXPECT_GT(last.value("accuracy"), 0.9);
  EXPECT_GT(last.value("val_accuracy"), 0.8);
  EXPECT_EQ(training.evaluate(Fit::Part::Validation).loss, last.value("val_loss"));
  EXPECT_GT(training.evaluate(Fit::Part::Test).metrics[0].second, 0.5);
  EXPECT_EQ(training.summary().loss, "nll");
  EXPECT_TRUE(training.summary().is_loss_chosen);
}

// The loop that a program writes with a Trainer of its own.
TEST(Fit, IsTheTrainersSteps) {
  NamedTensors data = class_data(8);
  FitOptions options = adam(5);
  options.shuffle = false;
  Fit training = fit(classifier(), data, options);
  TrainerOptions same = options.trainer;
  same.loss.name = "nll";
  Trainer trainer(classifier(), same);
  for (int i = 0; i < 5; ++i) {
    double loss = trainer.step({{"x", data[0].tensor}}, data[1].tensor);
    EXPECT_EQ(training.history()[static_cast<size_t>(i)].loss, loss);
  }
  expect_same_weights(trainer, training.trainer());
}

TEST(Fit, AddsUpGradients) {
  FitOptions large = adam(), small = adam();
  large.trainer.double_precision = small.trainer.double_precision = true;
  large.shuffle = small.shuffle = false;
  large.feed.batch_size = 12;
  small.feed.batch_size = 5;  // 5, 5 and 2 of 12
  small.accumulate = 3;
  Fit a = fit(classifier(), class_data(12), large), b = fit(classifier(), class_data(12), small);
  EXPECT_EQ(b.steps(), 3);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(a.history()[i].loss, b.history()[i].loss, 1e-12);
}

class StopAt : public Callback {
 public:
  explicit StopAt(int64_t step) : step_(step) {}
  void step_end(Fit& fit, const StepRecord& record) override {
    if (record.step != step_) return;
    state = fit.state();
    fit.stop();
  }
  NamedTensors state;

 private:
  int64_t step_;
};

// At any step, with dropout or batch norms, whatever the number of threads.
TEST(Fit, GoesOnToTheBit) {
  FitOptions options = adam(3);
  options.validation_split = 0.2;
  options.metrics = {"accuracy", "f1"};
  options.schedule = "cosine:0.1";
  options.warmup = 2;
  options.trainer.ema = 0.9;
  NamedTensors data = class_data(50);
  Fit whole = fit(classifier(), data, options);
  for (int64_t step : {1, 4, 5, 6, 10, 14, 15}) {
    auto stop = std::make_shared<StopAt>(step);
    FitOptions first = options, second = options;
    first.callbacks = {stop};
    fit(classifier(), data, first);
    second.trainer.threads = 2;
    Fit rest(classifier(), data, second);
    NamedTensors state = stop->state;
    // The callback of the first training has no place in the second.
    rest.set_state(state);
    rest.run();
    expect_same_weights(whole.trainer(), rest.trainer(), std::to_string(step));
    ASSERT_EQ(rest.history().size(), whole.history().size());
    for (size_t e = 0; e < 3; ++e) {
      EXPECT_EQ(rest.history()[e].loss, whole.history()[e].loss);
      EXPECT_EQ(rest.history()[e].metrics, whole.history()[e].metrics);
    }
  }
}

// Where the checkpoint of a step is that of the epoch's last one.
TEST(Fit, RemembersTheRateOfTheLastStep) {
  FitOptions options = adam(3);
  options.schedule = "cosine";
  Fit whole = fit(classifier(), class_data(16), options);
  auto stop = std::make_shared<StopAt>(4);
  FitOptions part = options;
  part.callbacks = {stop};
  fit(classifier(), class_data(16), part);
  FitOptions rest = options;
  rest.callbacks = {std::make_shared<StopAt>(-1)};
  Fit resumed(classifier(), class_data(16), rest);
  resumed.set_state(stop->state);
  resumed.run();
  ASSERT_EQ(resumed.history().size(), 3U);
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(resumed.history()[k].lr, whole.history()[k].lr) << k;
}

TEST(Fit, RejectsStatesOfOthers) {
  Fit training(classifier(), class_data(16), adam());
  NamedTensors state = training.state();
  EXPECT_THROW(Fit(classifier(), class_data(24), adam()).set_state(state), Error);
  for (size_t k = 0; k < state.size(); ++k) {
    NamedTensors less = state, other = state;
    less.erase(less.begin() + static_cast<int64_t>(k));
    other[k].tensor = Tensor::of<uint8_t>({1}, {1});
    if (state[k].name.starts_with("metrics of")) continue;
    EXPECT_THROW(training.set_state(less), Error) << state[k].name;
    EXPECT_THROW(training.set_state(other), Error) << state[k].name;
  }
  training.set_state(state);
}

TEST(Fit, FoldsValidateEachSampleOnce) {
  FitOptions options = adam(1);
  options.folds = 3;
  int64_t trained = 0;
  for (options.fold = 1; options.fold <= 3; ++options.fold) {
    Fit training(classifier(), class_data(16), options);
    EXPECT_TRUE(training.has(Fit::Part::Validation));
    trained += training.summary().samples;
  }
  EXPECT_EQ(trained, 2 * 16);
}

TEST(Fit, StandardizesByTheTrainingPart) {
  FitOptions options = adam(1);
  options.feed.standardize = {"x"};
  options.validation_split = 0.5;
  Fit training(classifier(), class_data(16), options);
  NamedTensors numbers = training.standardization();
  ASSERT_EQ(numbers.size(), 2U);
  EXPECT_EQ(numbers[0].name, "x.mean");
  EXPECT_EQ(numbers[0].tensor.dims(), (Dims{16}));
}

TEST(Fit, RejectsOptionsThatContradict) {
  auto rejects = [](auto change) {
    FitOptions options = adam();
    change(options);
    EXPECT_THROW(Fit(classifier(), class_data(16), options), Error);
  };
  rejects([](FitOptions& o) { o.epochs = 0; });
  rejects([](FitOptions& o) { o.max_steps = 0; });
  rejects([](FitOptions& o) { o.accumulate = 0; });
  rejects([](FitOptions& o) { o.validation_split = 1.5; });
  rejects([](FitOptions& o) {
    o.validation_split = 0.5;
    o.validation = class_data(4);
  });
  rejects([](FitOptions& o) { o.folds = 3; });
  rejects([](FitOptions& o) { o.metrics = {"beauty"}; });
  rejects([](FitOptions& o) { o.schedule = "cosinus"; });
  rejects([](FitOptions& o) { o.feed.standardize = {"z"}; });
  rejects([](FitOptions& o) { o.trainer.loss.name = "z"; });
}

// Steps in the wrong direction: the first epoch stays the best.
TEST(Callbacks, EarlyStoppingPutsTheBestWeightsBack) {
  FitOptions options = adam(20);
  options.trainer.lr = 3;
  options.validation = class_data(16, 3);
  auto stopping = std::make_shared<EarlyStopping>("val_loss", 2);
  options.callbacks = {stopping};
  Fit training = fit(classifier(), class_data(32), options);
  ASSERT_LT(training.history().size(), 20U);
  EXPECT_EQ(static_cast<int64_t>(training.history().size()), stopping->best_epoch() + 2);
  EXPECT_EQ(training.evaluate(Fit::Part::Validation).loss, stopping->best_value());
}

TEST(Callbacks, FollowOneNumber) {
  BestSoFar loss("val_loss", 0.1), accuracy("val_accuracy");
  EpochRecord record;
  record.metrics = {{"val_loss", 1.0}, {"val_accuracy", 0.5}};
  EXPECT_TRUE(loss.improves(record));
  EXPECT_TRUE(accuracy.improves(record));
  record.metrics = {{"val_loss", 0.95}, {"val_accuracy", 0.6}};
  EXPECT_FALSE(loss.improves(record));
  EXPECT_TRUE(accuracy.improves(record));
  record.metrics = {{"val_loss", std::nan("")}, {"val_accuracy", std::nan("")}};
  EXPECT_FALSE(loss.improves(record));
  EXPECT_FALSE(accuracy.improves(record));
  EXPECT_THROW(BestSoFar("val_f1").improves(record), Error);
}

TEST(Callbacks, CheckpointsAreKeptAndResumed) {
  TempDir dir;
  FitOptions options = adam(4);
  options.validation_split = 0.25;
  options.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3),
                       std::make_shared<Checkpoints>(dir / "c", 1, 2)};
  Fit whole = fit(classifier(), class_data(32), options);
  EXPECT_EQ(Checkpoints::latest(dir / "c"), dir / "c/step-000000012.npz");
  std::filesystem::remove(dir / "c/step-000000012.npz");
  Fit again(classifier(), class_data(32), options);
  ASSERT_TRUE(Checkpoints::resume(dir / "c", again));
  EXPECT_EQ(again.steps(), 9);
  again.run();
  expect_same_weights(whole.trainer(), again.trainer());
  EXPECT_FALSE(Checkpoints::resume(dir / "nothing", again));
}

// Checkpoints hold the last weights, not the best ones that early stopping puts back in the end;
// what has stopped stays so.
TEST(Callbacks, EarlyStoppingSurvivesResuming) {
  for (double rate : {3.0, 0.01}) {
    TempDir dir;
    FitOptions options = adam(rate > 1 ? 20 : 4), longer = adam(rate > 1 ? 20 : 8);
    for (FitOptions* o : {&options, &longer}) {
      o->trainer.lr = rate;
      o->validation = class_data(16, 3);
      o->callbacks = {std::make_shared<EarlyStopping>("val_loss", 3)};
    }
    Fit unbroken = fit(classifier(), class_data(32), longer);
    options.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3),
                         std::make_shared<Checkpoints>(dir / "c")};
    fit(classifier(), class_data(32), options);
    longer.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3)};
    Fit again(classifier(), class_data(32), longer);
    ASSERT_TRUE(Checkpoints::resume(dir / "c", again));
    again.run();
    EXPECT_EQ(again.steps(), unbroken.steps());
    expect_same_weights(unbroken.trainer(), again.trainer());
  }
}

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
