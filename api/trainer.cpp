#include "onnxrun/trainer.h"

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "passes/widen.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

std::optional<Reduction> reduction_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  if (*name == "mean") return Reduction::Mean;
  if (*name == "sum") return Reduction::Sum;
  fail(ErrorKind::Usage, "there is no reduction '{}'; there are mean, sum", *name);
}

TrainingOptions training_options(const Model& model, const TrainerOptions& o) {
  TrainingOptions t;
  t.output = o.output;
  t.loss = {o.loss, reduction_of(o.reduction), o.class_axis};
  t.optimizer = {o.optimizer, o.lr, o.momentum, o.weight_decay, o.beta1, o.beta2, o.eps, o.alpha};
  t.trainable = o.trainable;
  t.batch_statistics = o.batch_statistics;
  t.dropout = o.dropout;
  // PyTorch keeps the unbiased batch variance in running_var, the standard and Keras the biased one.
  const auto& source = model.graph().source;
  t.unbiased_variance = o.unbiased_variance.value_or(source && source->producer.starts_with("pytorch"));
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
      : model(m), options(o),
        training(make_training_graph(base_graph(m, o.double_precision), training_options(m, o))) {
    for (const TrainingState& s : training.state) state.push_back(s.initial.clone());
    plan = std::make_unique<BoundPlan>(training.graph, PlanOptions{.optimize = true, .max_memory = o.max_memory},
                                       state);
    lr = Tensor(training.lr_dtype, {});
    set_lr(o.lr.value_or(find_optimizer(o.optimizer).lr));
    plan->bind_input(training.lr_input(), lr);
    control.max_memory = o.max_memory;
  }

  void set_lr(double value) {
    rate = value;
    Tensor converted = convert(Tensor::scalar(value), training.lr_dtype);
    copy_elements(converted, lr);
  }

  Tensor fitted(size_t input, const Tensor& t) const {
    DType wanted = training.graph.value(training.graph.inputs[input]).type.dtype;
    return t.dtype() == wanted ? t : convert(t, wanted);
  }

  double step() {
    ThreadScope threads(options.threads);
    plan->run(control);
    return loss();
  }

  double loss() const {
    const Tensor& t = plan->output(0).tensor;
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
  TrainingGraph training;
  std::vector<Tensor> state;
  std::unique_ptr<BoundPlan> plan;
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
    impl_->plan->bind_input(k, value.is_tensor() ? impl_->fitted(k, value.tensor) : value);
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

std::map<std::string, Tensor> Trainer::weights() const {
  std::map<std::string, Tensor> result;
  for (size_t i = 0; i < impl_->state.size(); ++i) {
    TrainingState::Kind kind = impl_->training.state[i].kind;
    if (kind == TrainingState::Kind::Parameter || kind == TrainingState::Kind::Statistic) {
      result[impl_->training.state[i].name] = impl_->in_file_type(i);
    }
  }
  return result;
}

void Trainer::save(const std::string& path) const { impl_->model.save(path, weights()); }

}  // namespace onnxrun
