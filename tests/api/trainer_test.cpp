// The library as a program sees it: trainers.
#include "onnxrun/trainer.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "support/corpus.h"
#include "support/model_maker.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Model trainable_model() { return Model::load(CorpusCase("s2_xor_bce_dyn").model_path()); }

TrainerOptions bce(const std::string& optimizer = "sgd") {
  TrainerOptions options;
  options.loss.name = "bce";
  options.optimizer = optimizer;
  options.lr = 0.1;
  return options;
}

const Tensor x = Tensor::of<float>({2}, {0, 1}), target = Tensor::of<float>({1}, {1});

TEST(Trainer, BoundMemoryGivesTheSameSteps) {
  Trainer copies(trainable_model(), bce("adam")), bound(trainable_model(), bce("adam"));
  bound.bind_input("x", x);
  bound.bind_target(target);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(copies.step({{"x", x}}, target), bound.step());
}

TEST(Trainer, ObservesItsNodes) {
  Trainer trainer(trainable_model(), bce()), alone(trainable_model(), bce());
  int64_t nodes = 0, products = 0;
  trainer.observe([&](const Session::NodeRecord& r) {
    ++nodes;
    products += r.op.starts_with("MatMul");
  });
  double loss = trainer.step({{"x", x}}, target);
  EXPECT_EQ(loss, alone.step({{"x", x}}, target));
  EXPECT_GE(products, 5);  // three forward, two for what they read; of weights others
  int64_t first = nodes;
  trainer.step();
  EXPECT_EQ(nodes, 2 * first);
}

TEST(Trainer, TellsMergedTensorsApartUnlessToldNotTo) {
  Model twins = Model::load(CorpusCase("twins_merged_leg").model_path());
  auto has = [](const Trainer& trainer, const std::string& name) {
    auto weights = trainer.weights();
    return weights.find(name) != weights.end();
  };
  TrainerOptions options;
  Trainer apart(twins, options);
  EXPECT_TRUE(has(apart, "b.weight") && has(apart, "n1.running_var") && has(apart, "n2.weight"));
  TempDir folder;
  apart.save(folder.path("apart.onnx"));
  Trainer again(Model::load(folder.path("apart.onnx")), options);
  EXPECT_TRUE(again.unshared().empty());
  EXPECT_TRUE(has(again, "b.weight"));

  options.unshare = Unshare::Never;
  Trainer together(twins, options);
  EXPECT_FALSE(has(together, "b.weight"));
  EXPECT_TRUE(has(together, "n1.running_var"));
}

TEST(Trainer, LearningRateIsAnInput) {
  Trainer trainer(trainable_model(), bce());
  trainer.set_learning_rate(0);
  double first = trainer.step({{"x", x}}, target);
  EXPECT_EQ(trainer.step({{"x", x}}, target), first);
  trainer.set_learning_rate(0.5);
  trainer.step({{"x", x}}, target);
  EXPECT_LT(trainer.step({{"x", x}}, target), first);
}

TEST(Trainer, KeepsItsWeightsWhenAStepFails) {
  Trainer trainer(trainable_model(), bce("adam"));
  trainer.step({{"x", x}}, target);
  std::map<std::string, Tensor> before;
  for (const auto& [name, value] : trainer.weights()) before[name] = value.clone();
  Tensor bad = Tensor::of<float>({2}, {std::numeric_limits<float>::quiet_NaN(), 1});
  EXPECT_THROW(trainer.step({{"x", bad}}, target), Error);
  for (const auto& [name, value] : trainer.weights()) {
    EXPECT_TRUE(identical(value, before[name])) << name;
  }
  trainer.step({{"x", x}}, target);
}

TEST(Trainer, TrainsWhatItIsTold) {
  TrainerOptions options = bce();
  options.trainable = {"0.bias"};
  Model model = trainable_model();
  Trainer trainer(model, options);
  trainer.step({{"x", x}}, target);
  EXPECT_EQ(trainer.trained(), std::vector<std::string>{"0.bias"});
  EXPECT_EQ(trainer.weights().size(), 1u);
}

TEST(Trainer, AStatisticThatBatchesMoveIsNoParameter) {
  Model model = Model::load(CorpusCase("cnn_bn_kept_leg").model_path());
  TrainerOptions options;
  options.loss.name = "cross_entropy";
  options.trainable = {"fc1.bias", "bn1.running_mean"};
  try {
    Trainer trainer(model, options);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Usage) << e.what();
  }
}

TEST(Trainer, EvaluatesWithoutTraining) {
  Trainer trainer(trainable_model(), bce());
  double before = trainer.evaluate({{"x", x}}, target).loss;
  EXPECT_EQ(trainer.evaluate({{"x", x}}, target).loss, before);
  EXPECT_EQ(trainer.step({{"x", x}}, target), before);
  EXPECT_LT(trainer.evaluate({{"x", x}}, target).loss, before);
}

TEST(Trainer, RejectsWhatContradictsTheModel) {
  auto expect_usage = [](const TrainerOptions& options) {
    try {
      Trainer trainer(trainable_model(), options);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::Usage) << e.what();
    }
  };
  TrainerOptions options = bce();
  options.loss.name = "no such loss";
  expect_usage(options);
  options = bce("no such optimizer");
  expect_usage(options);
  options = bce();
  options.trainable = {"x"};
  expect_usage(options);
  options = bce();
  options.loss.output = "z";
  expect_usage(options);
}

}  // namespace

}  // namespace onnxrun::testing
