#include "workload.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "fit/loss_choice.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/trainer.h"
#include "random_inputs.h"
#include "training/loss.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

class InferenceRunner final : public Runner {
 public:
  InferenceRunner(const Model& model, const SessionOptions& options, const NamedValues& inputs)
      : session_(model, options), inputs_(inputs) {}

  void run() override {
    if (bound_) return session_.run();
    session_.run(inputs_);
    bool tensors = true;
    for (const auto& [name, value] : inputs_) tensors = tensors && value.is_tensor();
    bound_ = tensors;  // by the run
  }
  void cancel() override { session_.cancel(); }
  void observe(std::function<void(const Session::NodeRecord&)> observer) override {
    session_.observe(std::move(observer));
  }

 private:
  Session session_;
  const NamedValues& inputs_;
  bool bound_ = false;
};

class TrainingRunner final : public Runner {
 public:
  TrainingRunner(const Model& model, const TrainerOptions& options, const NamedValues& fed)
      : trainer_(model, options), fed_(fed) {}

  void run() override {
    if (bound_) {
      trainer_.step();
      return;
    }
    trainer_.step(fed_);
    bound_ = true;
  }
  void cancel() override { trainer_.cancel(); }
  void observe(std::function<void(const Session::NodeRecord&)> observer) override {
    trainer_.observe(std::move(observer));
  }

 private:
  Trainer trainer_;
  const NamedValues& fed_;
  bool bound_ = false;
};

Model timed_load(std::string& path, const CommonOptions& common, double& seconds) {
  auto start = std::chrono::steady_clock::now();
  Model model = load_model(path, common);
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return model;
}

}  // namespace

void add_workload_options(Options& options, WorkloadOptions& values) {
  add_input_options(options, values.inputs);
  options.add_switch(
      "--train", values.train,
      "a training step instead of a run, with learning rate 0 unless --lr is given, so that "
      "it can go on for ever");
  options
      .add_repeated("--target", values.targets,
                    "of --train: what an output should match (default: random)")
      .type_name("[OUTPUT=]FILE");
  add_loss_options(options, values.loss);
  add_optimizer_options(options, values.optimizer);
  add_mode_options(options, values.modes);
}

Workload::Workload(std::string& path, const WorkloadOptions& options, const CommonOptions& common)
    : path_(path),
      options_(options),
      common_(common),
      model_((check_usage(), timed_load(path, common, load_seconds_))) {
  InputOptions inputs = options.inputs;
  inputs.random = true;
  const Graph& graph = model_.graph();
  std::vector<std::string> needed = names_of(graph, graph.inputs);
  if (!options.train) needed = Session(model_, common.session_options()).input_names();
  inputs_ = gather_inputs(graph, inputs, common, needed);
  if (options.train) prepare_training();
}

void Workload::check_usage() const {
  bool of_training = !options_.targets.empty() || options_.loss.is_given() ||
                     options_.optimizer.name != OptimizerChoice().name;
  if (of_training && !options_.train) {
    fail(ErrorKind::Usage, "--loss, --optimizer and --target belong to --train");
  }
}

// The losses asked for, and the targets that files give.
LearningTask Workload::chosen_task() {
  const Graph& graph = model_.graph();
  std::vector<LossOptions> asked = loss_options(graph, options_.loss, common_);
  LearningTask task;
  if (options_.targets.empty()) {
    for (const LossOptions& loss : asked) {
      Tensor any(DType::Float32, {});
      task.losses.push_back({loss.graph ? ChosenLoss{loss} : choose_loss(graph, loss, any)});
    }
    return task;
  }
  FeedOptions feed;
  feed.targets = options_.targets;
  feed.max_memory = common_.max_memory;
  task = choose_task(graph, {}, feed, asked);
  for (const FeedTarget& target : task.targets) {
    fed_.emplace_back(target.name, target_values({}, target, common_.max_memory));
  }
  return task;
}

void Workload::prepare_training() {
  LearningTask task = chosen_task();
  for (const LossTask& loss : task.losses) {
    if (!loss.chosen.warning.empty()) warn("{}", loss.chosen.warning);
  }
  std::vector<LossOptions> losses = task.loss_options();
  if (options_.targets.empty()) {
    for (const LossInput& input : loss_inputs(model_.graph(), task.training_options())) {
      auto of = std::find_if(losses.begin(), losses.end(), [&](const LossOptions& loss) {
        bool only = losses.size() == 1 && input.name == "target";
        return !loss.graph && (only || input.name == "target::" + loss.output);
      });
      fed_.emplace_back(input.name, of == losses.end() ? random_target(input) : random_target(*of));
    }
  }
  trainer_ = trainer_options(options_.optimizer, options_.modes, common_);
  if (!trainer_.lr) trainer_.lr = 0;
  trainer_.loss = losses[0];
  trainer_.more_losses.assign(losses.begin() + 1, losses.end());
  trainer_.double_precision = options_.modes.precision == "float64";
  for (const auto& [name, value] : fed_) trainer_.target_dims[name] = value.tensor.dims();
  fed_.insert(fed_.end(), inputs_.begin(), inputs_.end());
  TaskSummary summary;
  describe(summary, task, {}, 0);
  description_ = fmt::format("training, {} of output '{}', {}", summary.loss, summary.output,
                             options_.optimizer.name);
}

// For the inputs that runs are fed.
RuntimeValue Workload::output_value(const std::string& output) const {
  SessionOptions session_options = common_.session_options();
  session_options.outputs = {output};
  Session session(model_, session_options);
  CancelScope cancel(session);
  std::vector<std::string> needed = session.input_names();
  NamedValues inputs;
  for (const auto& input : inputs_) {
    if (std::find(needed.begin(), needed.end(), input.first) != needed.end()) {
      inputs.push_back(input);
    }
  }
  return in_context(path_, [&] { return session.run(inputs).front().second; });
}

// What a loss graph reads, as the graph declares it.
Tensor Workload::random_target(const LossInput& input) const {
  RandomInputs random(model_.graph(), {}, common_.seed, common_.max_memory);
  for (const auto& [name, value] : inputs_) {
    const Type& type = model_.graph().value(model_.graph().find(name)).type;
    if (value.is_tensor()) random.learn_dims(type, value.tensor);
  }
  return random.make(input.name, input.type);
}

// Of the shape that the output has.
Tensor Workload::random_target(const LossOptions& loss) const {
  RuntimeValue value = output_value(loss.output);
  if (!value.is_tensor()) {
    fail(ErrorKind::Unsupported, "{}: output '{}' is no tensor to train with", path_, loss.output);
  }
  Type type = Type::tensor(value.tensor.dtype(), to_shape(value.tensor.dims()));
  if (!find_loss(loss.name).class_indices) return random_target(LossInput{"target", type});
  int64_t axis = class_axis_of(loss, type, nullptr);
  int64_t classes = value.tensor.dim(axis);
  Dims dims = value.tensor.dims();
  dims.erase(dims.begin() + axis);
  Tensor indices(DType::Int64, dims);
  Philox random(common_.seed, 0);
  for (int64_t i = 0; i < indices.size(); ++i) {
    double u = random.uniform(static_cast<uint64_t>(i));
    auto index = static_cast<int64_t>(u * static_cast<double>(classes));
    indices.data<int64_t>()[i] = std::clamp<int64_t>(index, 0, std::max<int64_t>(classes - 1, 0));
  }
  return indices;
}

std::unique_ptr<Runner> Workload::make_runner() const {
  if (options_.train) {
    return std::make_unique<TrainingRunner>(model_, trainer_, fed_);
  }
  return std::make_unique<InferenceRunner>(model_, common_.session_options(), inputs_);
}

}  // namespace onnxrun::tool
