#include "onnxrun/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "formats/npz.h"
#include "onnx_exporter.h"
#include "passes/widen.h"
#include "training/step_model.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

std::optional<Reduction> reduction_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  if (*name == "mean") return Reduction::Mean;
  if (*name == "sum") return Reduction::Sum;
  fail(ErrorKind::Usage, "there is no reduction '{}'; there are mean, sum", *name);
}

TrainingOptions training_options(const Model& model, const Graph& graph, const TrainerOptions& o) {
  TrainingOptions t;
  t.output = o.output;
  t.loss = {o.loss, reduction_of(o.reduction), o.class_axis, o.allow_broadcast};
  t.optimizer = {o.optimizer, o.lr, o.momentum, o.weight_decay, o.beta1, o.beta2, o.eps, o.alpha};
  t.trainable = o.trainable;
  t.batch_statistics = o.batch_statistics;
  t.dropout = o.dropout;
  t.seed = o.seed;
  // PyTorch keeps the unbiased batch variance in running_var, the standard and Keras the biased
  // one.
  const auto& source = model.graph().source;
  t.unbiased_variance =
      o.unbiased_variance.value_or(source && source->producer.starts_with("pytorch"));
  if (o.target_dims) t.target = declared_target_type(graph, t, *o.target_dims);
  return t;
}

Graph base_graph(const Model& model, bool widen) {
  Graph graph = model.graph();
  if (widen) widen_to_double(graph);
  return graph;
}

double scalar_value(const Tensor& t) { return to_doubles(t).front(); }

}  // namespace

struct Trainer::Impl {
  Impl(const Model& m, const TrainerOptions& o)
      : model(m),
        options(o),
        base(base_graph(m, o.double_precision)),
        training_choice(training_options(m, base, o)),
        training(make_training_graph(base, training_choice)) {
    for (const TrainingState& s : training.state) state.push_back(s.initial.clone());
    plan =
        std::make_unique<BoundPlan>(lower(training.graph, lower_options()), plan_options(), state);
    lr = Tensor(training.lr_dtype, {});
    set_lr(o.lr.value_or(find_optimizer(o.optimizer).lr));
    plan->bind_input(training.lr_input(), lr);
    control.max_memory = o.max_memory;
    control.max_loop_iterations = o.max_loop_iterations;
  }

  LowerOptions lower_options() const {
    return {.optimize = options.optimize, .max_memory = options.max_memory};
  }
  PlanOptions plan_options() const {
    return {.optimize = options.optimize, .max_memory = options.max_memory};
  }

  void set_lr(double value) {
    Tensor converted = convert(Tensor::scalar(value), training.lr_dtype);
    if (!std::isfinite(to_doubles(converted).front())) {
      fail(ErrorKind::Usage, "lr is {}, which is not finite as {}", value,
           to_string(training.lr_dtype));
    }
    rate = value;
    copy_elements(converted, lr);
  }

  RuntimeValue fitted(size_t input, const RuntimeValue& v) const {
    DType wanted = training.graph.value(training.graph.inputs[input]).type.dtype;
    return !v.is_tensor() || v.tensor.dtype() == wanted ? v : convert(v.tensor, wanted);
  }

  // Where parameters and moving statistics stand in `state`.
  std::vector<size_t> weights_at() const {
    std::vector<size_t> at;
    for (size_t i = 0; i < state.size(); ++i) {
      TrainingState::Kind kind = training.state[i].kind;
      if (kind == TrainingState::Kind::Parameter || kind == TrainingState::Kind::Statistic)
        at.push_back(i);
    }
    return at;
  }

  // The inference graph reads the very tensors that steps update.
  void make_evaluation() {
    std::vector<std::string> names;
    for (size_t i : weights_at()) names.push_back(training.state[i].name);
    Graph graph = make_evaluation_graph(base, training_choice, names);
    evaluation = std::make_unique<BoundPlan>(lower(std::move(graph), lower_options()),
                                             plan_options(), std::vector<Tensor>());
    size_t input = training.lr_input();
    for (size_t i : weights_at()) evaluation->bind_input(input++, state[i]);
  }

  double step() {
    ThreadScope threads(options.threads);
    plan->run(control);
    return loss_of(*plan);
  }

  static double loss_of(const BoundPlan& from) {
    const Tensor& t = from.output(0).tensor;
    if (t.dtype() == DType::Float32) return *t.data<float>();
    return t.dtype() == DType::Float64 ? *t.data<double>() : scalar_value(t);
  }

  // A state tensor in the type the file has it in.
  Tensor in_file_type(size_t i) const {
    ValueId id = model.graph().find(training.state[i].name);
    DType wanted = model.graph().value(id).type.dtype;
    return state[i].dtype() == wanted ? state[i] : convert(state[i], wanted);
  }

  Model model;
  TrainerOptions options;
  Graph base;
  TrainingOptions training_choice;
  TrainingGraph training;
  std::vector<Tensor> state;
  std::unique_ptr<BoundPlan> plan;
  std::unique_ptr<BoundPlan> evaluation;  // made when first needed
  Tensor lr;
  double rate = 0;
  RunControl control;
};

Trainer::Trainer(const Model& model, TrainerOptions options)
    : impl_(std::make_unique<Impl>(model, options)) {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

double Trainer::step(const NamedValues& inputs, const Tensor& target) {
  for (const auto& [name, value] : inputs) {
    size_t k = impl_->plan->input_index(name);
    impl_->plan->bind_input(k, impl_->fitted(k, value));
  }
  if (impl_->training.has_target) bind_target(target);
  return impl_->step();
}

void Trainer::bind_input(const std::string& name, Tensor tensor) {
  impl_->plan->bind_input(impl_->plan->input_index(name), std::move(tensor));
}

void Trainer::bind_target(Tensor target) {
  size_t k = impl_->training.target_input();
  impl_->plan->bind_input(k, impl_->fitted(k, target));
}

double Trainer::step() { return impl_->step(); }

Trainer::Evaluation Trainer::evaluate(const NamedValues& inputs, const Tensor& target) {
  if (!impl_->evaluation) impl_->make_evaluation();
  BoundPlan& plan = *impl_->evaluation;
  for (const auto& [name, value] : inputs) {
    plan.bind_input(plan.input_index(name), impl_->fitted(impl_->plan->input_index(name), value));
  }
  size_t k = impl_->training.target_input();
  if (impl_->training.has_target) plan.bind_input(k, impl_->fitted(k, target));
  ThreadScope threads(impl_->options.threads);
  plan.run(impl_->control);
  return {Impl::loss_of(plan), plan.output(1).tensor};
}

void Trainer::cancel() { impl_->control.cancel(); }

const Tensor& Trainer::output() const { return impl_->plan->output(1).tensor; }

void Trainer::set_learning_rate(double lr) { impl_->set_lr(lr); }
double Trainer::learning_rate() const { return impl_->rate; }

std::vector<std::string> Trainer::trained() const {
  std::vector<std::string> names;
  for (const TrainingState& s : impl_->training.state) {
    if (s.kind == TrainingState::Kind::Parameter) names.push_back(s.name);
  }
  return names;
}

std::vector<std::string> Trainer::without_gradient() const {
  return impl_->training.without_gradient;
}

std::map<std::string, Tensor> Trainer::weights() const {
  std::map<std::string, Tensor> result;
  for (size_t i : impl_->weights_at())
    result[impl_->training.state[i].name] = impl_->in_file_type(i);
  return result;
}

void Trainer::save(const std::string& path, bool in_place) const {
  impl_->model.save(path, weights(), in_place);
}

std::string Trainer::initial_values_path(std::string path) {
  if (path.ends_with(".onnx")) path.resize(path.size() - 5);
  return path + ".init.npz";
}

void Trainer::export_step(const std::string& path) const {
  // Declared types of inputs are part of a standard model, so the target's is settled here.
  TrainingOptions choice = impl_->training_choice;
  if (!choice.target) choice.target = expected_target_type(impl_->base, choice);
  TrainingGraph training = make_training_graph(impl_->base, choice);
  std::string step = export_graph(make_step_model(training));
  NamedTensors initial;
  initial.push_back(
      {training.graph.name_of(training.graph.inputs[training.lr_input()]), impl_->lr});
  for (size_t i = 0; i < training.state.size(); ++i) {
    initial.push_back({training.state[i].name, impl_->state[i]});
  }
  AtomicFile values(initial_values_path(path));
  write_npz(values, initial);
  AtomicFile model(path);
  model.write(step);
  AtomicFile::commit(std::array{&values, &model});
}

}  // namespace onnxrun
