// Trainings as a program has them.
#include "onnxrun/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "builtin_ops.h"
#include "fit/class_data.h"
#include "graph/builder.h"
#include "support/corpus.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

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

// Trains on its own data whatever callbacks do with the trainer.
class Meddler final : public Callback {
 public:
  void step_end(Fit& fit, const StepRecord& record) override {
    if (record.step % 3 == 0) bind(fit.trainer());
    if (record.step % 5 == 0) {
      fit.trainer().evaluate({{"x", other_[0].tensor}}, other_[1].tensor);
    }
  }
  void epoch_end(Fit& fit, const EpochRecord&) override { bind(fit.trainer()); }

 private:
  void bind(Trainer& trainer) {
    trainer.bind_input("x", other_[0].tensor);
    trainer.bind_evaluation_input("x", other_[0].tensor);
  }
  NamedTensors other_ = class_data(8, 5);
};

TEST(Fit, TrainsOnItsOwnDataWhateverCallbacksBind) {
  FitOptions options = adam(4);
  options.validation = class_data(16, 3);
  Fit plain = fit(classifier(), class_data(32), options);
  options.callbacks = {std::make_shared<Meddler>()};
  Fit meddled = fit(classifier(), class_data(32), options);
  expect_same_weights(plain.trainer(), meddled.trainer());
  for (size_t k = 0; k < plain.history().size(); ++k) {
    EXPECT_EQ(plain.history()[k].value("val_loss"), meddled.history()[k].value("val_loss"));
  }
}

// The losses of two samples at a time, by hand.
double loss_by_twos(const Model& model, const NamedTensors& data) {
  EvaluationOptions options;
  options.loss.name = "mse";
  options.feed.batch_size = 2;
  return evaluate(model, data, options).loss;
}

// Small batches are put together only where that changes nothing.
TEST(Fit, EvaluatesByTheBatchWhereItMatters) {
  for (bool mixes : {false, true}) {
    auto graph = std::make_shared<Graph>(builtin_ops());
    GraphBuilder b(*graph);
    ValueId x = graph->add_input("x", Type::tensor(DType::Float32, Shape{Dim::unknown(), Dim(3)}));
    Tensor weight = Tensor::of<float>({3, 3}, {1, 2, 0, -1, .5, 1, 0, 1, 2});
    ValueId y = b.add("MatMul", {x, graph->add_initializer("w", weight, Role::Parameter)});
    if (mixes) {
      ValueId axis = b.constant(Tensor::of<int64_t>({1}, {0}));
      y = b.add("Sub", {y, b.add("ReduceMean", {y, axis})});
    }
    graph->value(y).name = "y";
    graph->outputs = {y};
    Model model(graph);
    Tensor data(DType::Float32, {12, 3}), target(DType::Float32, {12, 3});
    for (int64_t i = 0; i < 36; ++i) {
      data.data<float>()[i] = static_cast<float>(i * i % 17);
      target.data<float>()[i] = static_cast<float>(i % 5);
    }
    FitOptions options;
    options.trainer.loss.name = "mse";
    options.trainer.lr = 1e-9;
    options.feed.batch_size = 2;
    options.validation = {{"x", data}, {"target", target}};
    Fit training(model, options.validation, options);
    double found = training.evaluate(Fit::Part::Validation).loss;
    EXPECT_NEAR(found, loss_by_twos(model, options.validation), 1e-4 * found) << mixes;
  }
}

}  // namespace

}  // namespace onnxrun::testing
