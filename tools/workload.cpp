#include "workload.h"

#include <algorithm>
#include <chrono>

#include "array_files.h"
#include "base/error.h"
#include "base/random.h"
#include "fit/loss_choice.h"
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
  TrainingRunner(const Model& model, const TrainerOptions& options, const NamedValues& inputs,
                 const Tensor& target)
      : trainer_(model, options), inputs_(inputs), target_(target) {}

  void run() override {
    if (bound_) {
      trainer_.step();
      return;
    }
    trainer_.step(inputs_, target_);
    bound_ = true;
  }
  void cancel() override { trainer_.cancel(); }
  void observe(std::function<void(const Session::NodeRecord&)> observer) override {
    trainer_.observe(std::move(observer));
  }

 private:
  Trainer trainer_;
  const NamedValues& inputs_;
  const Tensor& target_;
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
  options.add_switch("--train", values.train, "a training step instead of a run");
  options
      .add("--target", values.target, "of --train: what the output should match (default: random)")
      .type_name("FILE");
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
  bool of_training = !options_.target.empty() || options_.loss.is_given() ||
                     options_.optimizer.name != OptimizerChoice().name;
  if (of_training && !options_.train) {
    fail(ErrorKind::Usage, "--loss, --optimizer and --target belong to --train");
  }
}

void Workload::prepare_training() {
  const Graph& graph = model_.graph();
  auto [named, file] = split_output(graph, options_.target);
  if (!file.empty()) target_ = read_array(file, read_options(common_.max_memory)).tensor;
  std::vector<LossOptions> asked = loss_options(graph, options_.loss, common_);
  if (asked.size() > 1 || asked[0].graph) {
    fail(ErrorKind::Usage, "--loss: one that has a name is measured");
  }
  if (!named.empty()) asked[0].output = named;
  Tensor any = target_.defined() ? target_ : Tensor(DType::Float32, {});
  ChosenLoss chosen = choose_loss(graph, asked[0], any);
  if (!chosen.warning.empty()) warn("{}", chosen.warning);
  const LossOptions& loss = chosen.loss;
  if (!target_.defined() && loss.name != "output") target_ = random_target(loss, loss.output);
  trainer_ = trainer_options(options_.optimizer, options_.modes, common_);
  trainer_.loss = loss;
  trainer_.double_precision = options_.modes.precision == "float64";
  if (target_.defined()) trainer_.target_dims["target"] = target_.dims();
  description_ =
      fmt::format("training, {} of '{}', {}", loss.name, loss.output, options_.optimizer.name);
}

// Of the shape that the output has for these inputs.
Tensor Workload::random_target(const LossOptions& loss, const std::string& output) const {
  SessionOptions session_options = common_.session_options();
  session_options.outputs = {output};
  Session session(model_, session_options);
  std::vector<std::string> needed = session.input_names();
  NamedValues inputs;
  for (const auto& input : inputs_) {
    if (std::find(needed.begin(), needed.end(), input.first) != needed.end()) {
      inputs.push_back(input);
    }
  }
  RuntimeValue value = in_context(path_, [&] { return session.run(inputs).front().second; });
  if (!value.is_tensor()) {
    fail(ErrorKind::Unsupported, "{}: output '{}' is no tensor to train with", path_, output);
  }
  Type type = Type::tensor(value.tensor.dtype(), to_shape(value.tensor.dims()));
  if (!find_loss(loss.name).class_indices) {
    return RandomInputs(model_.graph(), {}, common_.seed, common_.max_memory).make("target", type);
  }
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
    return std::make_unique<TrainingRunner>(model_, trainer_, inputs_, target_);
  }
  return std::make_unique<InferenceRunner>(model_, common_.session_options(), inputs_);
}

}  // namespace onnxrun::tool
