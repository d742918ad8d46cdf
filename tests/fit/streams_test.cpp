// Trainings whose data stay in files, or change as they are read.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "fit/class_data.h"
#include "formats/source.h"
#include "onnxrun/fit.h"
#include "support/corpus.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

Model pictures_model() { return Model::load(CorpusCase("resnet_bn_leg").model_path()); }

Tensor numbers(DType dtype, const Dims& dims) {
  Tensor t(DType::Float64, dims);
  for (int64_t i = 0; i < t.size(); ++i) {
    t.data<double>()[i] = static_cast<double>((i * 7919 + i / 50) % 251);
  }
  return convert(t, dtype);
}

Tensor classes(int64_t samples, int64_t count) {
  Tensor t(DType::Int64, {samples});
  for (int64_t i = 0; i < samples; ++i) t.data<int64_t>()[i] = i * 5 % count;
  return t;
}

FitOptions stream_options() {
  FitOptions o;
  o.feed.batch_size = 8;
  o.trainer.optimizer = "adam";
  o.epochs = 3;
  o.metrics = {"accuracy"};
  return o;
}

// Keeps the state that a training had after a step.
class StateAt : public Callback {
 public:
  explicit StateAt(int64_t step) : step_(step) {}
  void step_end(Fit& fit, const StepRecord& record) override {
    if (record.step == step_) state = fit.state();
  }
  NamedTensors state;

 private:
  int64_t step_;
};

void expect_same(const Fit& a, const Fit& b) {
  std::map<std::string, Tensor> weights = a.trainer().weights(), other = b.trainer().weights();
  for (const auto& [name, value] : weights) {
    EXPECT_TRUE(identical(value, other.at(name))) << name;
  }
  ASSERT_EQ(a.history().size(), b.history().size());
  for (size_t k = 0; k < a.history().size(); ++k) {
    EXPECT_EQ(a.history()[k].loss, b.history()[k].loss);
    EXPECT_EQ(a.history()[k].value("val_loss"), b.history()[k].value("val_loss"));
  }
}

// Validation and test data stay in their files, too.
TEST(Streams, EvaluateAsArraysInMemoryDo) {
  TempDir dir;
  Tensor x = numbers(DType::Float32, {53, 16}), other = numbers(DType::Float32, {21, 16});
  write_arrays(dir / "x.npy", {{"x", x}});
  write_arrays(dir / "other.npy", {{"x", other}});
  FitOptions o = stream_options();
  o.feed.standardize = {"x"};
  o.validation = o.test = {{"x", other}, {"target", classes(21, 8)}};
  Fit in_memory = fit(classifier(), {{"x", x}, {"target", classes(53, 8)}}, o);
  o.feed.streams = {"x=" + (dir / "x.npy")};
  o.validation_streams = o.test_streams = {"x=" + (dir / "other.npy")};
  o.validation = o.test = {{"target", classes(21, 8)}};
  Fit streamed = fit(classifier(), {{"target", classes(53, 8)}}, o);
  expect_same(in_memory, streamed);
  EXPECT_EQ(in_memory.evaluate(Fit::Part::Test).loss, streamed.evaluate(Fit::Part::Test).loss);
  o.validation_split = 0.5;
  EXPECT_THROW(fit(classifier(), {{"target", classes(53, 8)}}, o), Error);
}

TEST(Streams, TrainAsArraysInMemoryDo) {
  TempDir dir;
  NamedTensors target = {{"target", classes(53, 8)}};
  for (DType dtype : {DType::Float32, DType::UInt8, DType::Float64}) {
    Tensor x = numbers(dtype, {53, 16});
    write_arrays(dir / "x.npy", {{"x", x}});
    for (int kind = 0; kind < 3; ++kind) {
      FitOptions o = stream_options();
      if (kind > 0) o.feed.scale = {{"x", 1.0 / 255}};
      if (kind > 1) o.feed.standardize = {"x"};
      o.validation_split = 0.2;
      Fit in_memory = fit(classifier(), {{"x", x}, target[0]}, o);
      o.feed.streams = {"x=" + (dir / "x.npy")};
      Fit in_file = fit(classifier(), target, o);
      expect_same(in_memory, in_file);
    }
  }
}

TEST(Streams, GoOnAfterAnInterruption) {
  TempDir dir;
  write_arrays(dir / "x.npy", {{"x", numbers(DType::Float32, {40, 16})}});
  FitOptions o = stream_options();
  o.feed.scale = {{"x", 1.0 / 255}};
  o.feed.streams = {"x=" + (dir / "x.npy")};
  NamedTensors target = {{"target", classes(40, 8)}};
  auto at = std::make_shared<StateAt>(7);
  o.callbacks = {at};
  Fit whole = fit(classifier(), target, o);
  Fit rest(classifier(), target, o);
  rest.set_state(NamedTensors(at->state));
  rest.run();
  expect_same(whole, rest);
}

TEST(Streams, NameWhatIsWrong) {
  TempDir dir;
  write_arrays(dir / "x.npy", {{"x", numbers(DType::Float32, {8, 16})}});
  write_arrays(dir / "x.npz", {{"x", numbers(DType::Float32, {8, 16})}});
  Tensor bad = numbers(DType::Float32, {8, 16});
  bad.data<float>()[16 * 3 + 2] = INFINITY;
  write_arrays(dir / "bad.npy", {{"x", bad}});
  NamedTensors target = {{"target", classes(8, 8)}};
  auto make = [&](const std::string& stream) {
    FitOptions o = stream_options();
    o.feed.streams = {stream};
    return Fit(classifier(), target, o);
  };
  expect_fails(ErrorKind::BadInput, "piece by piece", [&] { make("x=" + (dir / "x.npz")); });
  expect_fails(ErrorKind::BadInput, "no name", [&] { make(dir / "x.npy"); });
  expect_fails(ErrorKind::BadInput, "none.npy", [&] { make("x=" + (dir / "none.npy")); });
  Fit training = make("x=" + (dir / "bad.npy"));
  EXPECT_EQ(training.first_not_finite(), "'x' has inf in sample 3 (from 0), element [2]");
  std::filesystem::resize_file(dir / "x.npy", 200);
  expect_fails(ErrorKind::BadInput, "bytes", [&] { make("x=" + (dir / "x.npy")); });
}

FitOptions moving(int64_t shift, bool flip) {
  FitOptions o = stream_options();
  o.feed.batch_size = 4;
  o.augment[""] = {shift, flip};
  o.trainer.loss.name = "cross_entropy";
  return o;
}

NamedTensors pictures() {
  return {{"x", numbers(DType::Float32, {12, 3, 16, 16})}, {"target", classes(12, 4)}};
}

// The same on any number of threads, after an interruption, and from a file.
TEST(Augmentation, IsPartOfTheTraining) {
  FitOptions o = moving(2, true);
  o.feed.scale = {{"x", 1.0 / 255}};
  auto at = std::make_shared<StateAt>(4);
  o.callbacks = {at};
  Fit whole = fit(pictures_model(), pictures(), o);
  FitOptions plain = o;
  plain.augment.clear();
  plain.callbacks.clear();
  Fit other = fit(pictures_model(), pictures(), plain);
  EXPECT_NE(other.history()[2].loss, whole.history()[2].loss);
  o.trainer.threads = 3;
  Fit rest(pictures_model(), pictures(), o);
  rest.set_state(NamedTensors(at->state));
  rest.run();
  expect_same(whole, rest);
  TempDir dir;
  write_arrays(dir / "x.npy", {pictures()[0]});
  o.feed.streams = {"x=" + (dir / "x.npy")};
  Fit streamed = fit(pictures_model(), {pictures()[1]}, o);
  expect_same(whole, streamed);
}

// Evaluations see the data as they are.
TEST(Augmentation, LeavesValidationAlone) {
  FitOptions o = moving(3, true);
  o.trainer.lr = 0;
  o.trainer.batch_statistics = false;
  o.validation = pictures();
  Fit training = fit(pictures_model(), pictures(), o);
  o.augment.clear();
  Fit plain = fit(pictures_model(), pictures(), o);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(training.history()[k].value("val_loss"), plain.history()[k].value("val_loss"));
  }
  EXPECT_NE(training.history()[0].loss, plain.history()[0].loss);
}

TEST(Augmentation, NeedsPictures) {
  EXPECT_THROW(Fit(pictures_model(), pictures(), moving(16, false)), Error);
  EXPECT_THROW(Fit(pictures_model(), pictures(), moving(-1, false)), Error);
  FitOptions o = stream_options();
  o.augment["x"].flip = true;
  NamedTensors flat = {{"x", numbers(DType::Float32, {8, 16})}, {"target", classes(8, 8)}};
  EXPECT_THROW(Fit(classifier(), flat, o), Error);
  o.augment.clear();
  o.augment[""].flip = true;
  EXPECT_THROW(Fit(classifier(), flat, o), Error);
  o.augment.clear();
  o.augment["z"].flip = true;
  EXPECT_THROW(Fit(pictures_model(), pictures(), o), Error);
}

}  // namespace

}  // namespace onnxrun::testing
