// One computation of a model again and again: what `bench` and `profile` look at.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "fit/learning_task.h"
#include "inputs.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"
#include "training/loss_sum.h"
#include "training_options.h"

namespace onnxrun::tool {

// --train with the loss, the optimizer and the modes of `train`, and what feeds the inputs.
struct WorkloadOptions {
  InputOptions inputs;
  bool train = false;
  std::vector<std::string> targets;
  LossChoice loss;
  OptimizerChoice optimizer;
  ModeChoice modes;
};
void add_workload_options(Options& options, WorkloadOptions& values);

// Something that runs. Used by one thread at a time, cancel() excepted.
class Runner {
 public:
  virtual ~Runner() = default;
  virtual void run() = 0;
  virtual void cancel() = 0;
  virtual void observe(std::function<void(const Session::NodeRecord&)> observer) = 0;
};

// A model, its inputs, and for training its target. Inputs that are not given are random.
class Workload {
 public:
  // Throws what loading a model and reading its inputs throw. All arguments must outlive it; `path`
  // is as load_model() takes it.
  Workload(std::string& path, const WorkloadOptions& options, const CommonOptions& common);

  const Model& model() const { return model_; }
  double load_seconds() const { return load_seconds_; }
  // "inference" or "training, mse of output 'y', sgd".
  const std::string& description() const { return description_; }
  const NamedValues& inputs() const { return inputs_; }

  // Runners share the model's weights where they only read them.
  std::unique_ptr<Runner> make_runner() const;

 private:
  void check_usage() const;
  void prepare_training();
  LearningTask chosen_task();
  RuntimeValue output_value(const std::string& output) const;
  Tensor random_target(const LossOptions& loss) const;
  Tensor random_target(const LossInput& input) const;

  const std::string& path_;
  const WorkloadOptions& options_;
  const CommonOptions& common_;
  double load_seconds_ = 0;
  Model model_;
  NamedValues inputs_;
  std::string description_ = "inference";
  TrainerOptions trainer_;
  NamedValues fed_;  // by a training step: inputs and targets
};

}  // namespace onnxrun::tool
