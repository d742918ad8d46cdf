#include "trainer_impl.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/name_list.h"
#include "base/threads.h"
#include "initial_values.h"
#include "lowerings.h"
#include "passes/widen.h"
#include "training/loss_sum.h"

namespace onnxrun {

namespace {

std::vector<std::string> trainable_names(const Graph& graph, const TrainerOptions& o) {
  if (o.trainable) return *o.trainable;
  std::vector<std::string> names;
  for (const auto& [id, init] : graph.initializers) {
    if (init.role == Role::Parameter) names.push_back(graph.name_of(id));
  }
  return names;
}

TrainingOptions training_options(const Model& model, const Graph& graph, const TrainerOptions& o) {
  TrainingOptions t;
  t.losses = {o.loss};
  t.losses.insert(t.losses.end(), o.more_losses.begin(), o.more_losses.end());
  for (LossOptions& loss : t.losses) {
    if (loss.name.empty() && !loss.graph) loss.name = "mse";
    if (loss.output.empty() && !loss.graph) loss.output = graph.name_of(find_output(graph, ""));
  }
  t.sample_weights = o.sample_weights;
  t.clip_value = o.clip_value;
  t.clip_norm = o.clip_norm;
  t.optimizer = {o.optimizer, o.lr, o.momentum, o.weight_decay, o.beta1, o.beta2, o.eps, o.alpha};
  t.trainable = o.trainable;
  t.ema = o.ema;
  std::vector<std::string> names = trainable_names(graph, o);
  for (const auto& [glob, factor] : o.lr_multiples) {
    for (const std::string& name : matching_names("the learning rate's factor", glob, names)) {
      t.lr_multiples[name] = factor;
    }
  }
  t.batch_statistics = o.batch_statistics;
  t.dropout = o.dropout;
  t.seed = o.seed;
  // PyTorch keeps the unbiased batch variance in running_var, the standard and Keras the biased
  // one.
  const auto& source = model.graph().source;
  t.unbiased_variance =
      o.unbiased_variance.value_or(source && source->producer.starts_with("pytorch"));
  declare_targets(graph, t, o.target_dims);
  return t;
}

Graph base_graph(const Model& model, const TrainerOptions& o) {
  Graph graph = model.graph();
  if (o.double_precision) {
    widen_to_double(graph);
  } else {
    widen_halves(graph);
  }
  std::vector<std::string> names = trainable_names(graph, o);
  for (const auto& [glob, how] : o.initial) {
    for (const std::string& name : matching_names("the initial value", glob, names)) {
      set_initial(graph, name, how, o.seed);
    }
  }
  return graph;
}

// A weight that became infinite in a smaller type would be a wrong number without a word.
void check_fits(const std::string& name, const Tensor& value, const Tensor& narrow) {
  std::vector<double> from = to_doubles(value), to = to_doubles(narrow);
  for (size_t k = 0; k < from.size(); ++k) {
    if (!std::isfinite(from[k]) || std::isfinite(to[k])) continue;
    fail(ErrorKind::Numeric, "'{}' has become {}, which {} does not hold", name, from[k],
         to_string(narrow.dtype()));
  }
}

}  // namespace

double scalar_value(const Tensor& t) {
  if (t.dtype() == DType::Float32) return *t.data<float>();
  return t.dtype() == DType::Float64 ? *t.data<double>() : to_doubles(t).front();
}

Trainer::Impl::Impl(UnsharedModel m, const TrainerOptions& o)
    : model(std::move(m.model)),
      unshared(std::move(m.added)),
      options(o),
      base(base_graph(model, o)),
      training_choice(training_options(model, base, o)),
      training(make_training_graph(base, training_choice)) {
  allocate_state();
  bound.resize(training.graph.inputs.size());
  LimitedRun limited = limits();
  plan = std::make_unique<BoundPlan>(lower(training.graph, lower_options()), plan_options(), state);
  lr = Tensor(training.lr_dtype, {});
  set_lr(o.lr.value_or(find_optimizer(o.optimizer).lr));
  plan->bind_input(training.lr_input(), lr);
  control.max_memory = o.max_memory;
  control.max_loop_iterations = o.max_loop_iterations;
}

void Trainer::Impl::allocate_state() {
  for (const TrainingState& s : training.state) state.push_back(s.initial.clone());
  flatten("", 0);
  const OptimizerInfo& optimizer = optimizer_for(training_choice.optimizer);
  for (size_t k = 0; k < optimizer.slots.size(); ++k) {
    flatten(std::string(optimizer.slots[k]), training.parameters + k);
  }
}

void Trainer::Impl::flatten(const std::string& slot, size_t first) {
  size_t stride = slot.empty() ? 1 : optimizer_for(training_choice.optimizer).slots.size();
  std::vector<std::string> names;
  std::vector<Dims> dims;
  DType dtype = state[first].dtype();
  for (size_t i = 0; i < training.parameters; ++i) {
    const Tensor& t = state[first + i * stride];
    if (t.dtype() != dtype) return;
    names.push_back(training.state[i].name);
    dims.push_back(t.dims());
  }
  FlatTensors all = FlatTensors::zeros(dtype, names, dims);
  for (size_t i = 0; i < training.parameters; ++i) {
    Tensor part = all.part(i);
    copy_elements(state[first + i * stride], part);
    state[first + i * stride] = part;
  }
  flat.emplace(slot, std::move(all));
}

const FlatTensors& Trainer::Impl::flat_tensors(const std::string& slot) const {
  auto it = flat.find(slot);
  if (it != flat.end()) return it->second;
  const auto& slots = optimizer_for(training_choice.optimizer).slots;
  if (!slot.empty() && std::find(slots.begin(), slots.end(), slot) == slots.end()) {
    fail(ErrorKind::Usage, "the optimizer has no slot '{}'; it has {}", slot,
         name_list({slots.begin(), slots.end()}));
  }
  fail(ErrorKind::Unsupported, "parameters of several element types do not lie in one buffer");
}

std::vector<Tensor> Trainer::Impl::shared_state(const TrainingGraph& part) const {
  std::vector<Tensor> shared;
  for (const TrainingState& s : part.state) shared.push_back(state[state_at(s.name)]);
  return shared;
}

size_t Trainer::Impl::state_at(const std::string& name) const {
  auto it = std::find_if(training.state.begin(), training.state.end(),
                         [&](const TrainingState& s) { return s.name == name; });
  return static_cast<size_t>(it - training.state.begin());
}

bool Trainer::Impl::is_weight(size_t i) const {
  TrainingState::Kind kind = training.state[i].kind;
  return kind == TrainingState::Kind::Parameter || kind == TrainingState::Kind::Statistic;
}

size_t Trainer::Impl::shown_at(size_t i) const {
  bool is_averaged = training.first_average > 0 && i < training.parameters;
  return is_averaged ? training.first_average + i : i;
}

std::vector<size_t> Trainer::Impl::weights_at() const {
  std::vector<size_t> at;
  for (size_t i = 0; i < state.size(); ++i) {
    if (is_weight(i)) at.push_back(i);
  }
  return at;
}

Tensor Trainer::Impl::in_file_type(size_t i) const {
  const Tensor& value = state[shown_at(i)];
  ValueId id = model.graph().find(training.state[i].name);
  DType wanted = model.graph().value(id).type.dtype;
  if (value.dtype() == wanted) return value;
  Tensor result = convert(value, wanted);
  check_fits(training.state[i].name, value, result);
  return result;
}

void Trainer::Impl::make_parts() {
  const FlatTensors& flat_parameters = flat_tensors("");
  std::vector<std::string> names;
  std::vector<Dims> dims;
  for (const FlatTensors::Part& p : flat_parameters.parts) {
    names.push_back(p.name);
    dims.push_back(p.dims);
  }
  gradients = FlatTensors::zeros(flat_parameters.values.dtype(), names, dims);
  TrainingOptions choice = training_choice;
  choice.part = StepPart::Gradients;
  TrainingGraph first = make_training_graph(base, choice);
  gradient_plan = std::make_unique<BoundPlan>(lower(first.graph, lower_options()), plan_options(),
                                              shared_state(first));
  size_t parameters_at = first.lr_input();
  for (size_t i = 0; i < parameters_at; ++i) {
    if (bound[i]) gradient_plan->bind_input(i, *bound[i]);
  }
  for (size_t i = 0; i < training.parameters; ++i) {
    gradient_plan->bind_input(parameters_at + i, state[i]);
  }
  choice.part = StepPart::Update;
  TrainingGraph second = make_training_graph(base, choice);
  update_plan = std::make_unique<BoundPlan>(lower(second.graph, lower_options()), plan_options(),
                                            shared_state(second));
  update_plan->bind_input(0, lr);
  size_t gradients_at = second.graph.inputs.size() - training.parameters;
  for (size_t i = 0; i < training.parameters; ++i) {
    update_plan->bind_input(gradients_at + i, gradients.part(i));
  }
}

void Trainer::Impl::make_evaluation() {
  std::vector<std::string> names;
  for (size_t i : weights_at()) names.push_back(training.state[i].name);
  Graph graph = make_evaluation_graph(base, training_choice, names);
  evaluation = std::make_unique<BoundPlan>(lower(std::move(graph), lower_options()), plan_options(),
                                           std::vector<Tensor>());
  size_t input = training.lr_input();
  for (size_t i : weights_at()) evaluation->bind_input(input++, state[shown_at(i)]);
}

RuntimeValue Trainer::Impl::fitted(size_t input, const RuntimeValue& v) const {
  DType wanted = training.graph.value(training.graph.inputs[input]).type.dtype;
  return !v.is_tensor() || v.tensor.dtype() == wanted ? v : convert(v.tensor, wanted);
}

void Trainer::Impl::bind(size_t k, RuntimeValue value) {
  ++bindings;
  plan->bind_input(k, value);
  if (gradient_plan) gradient_plan->bind_input(k, value);
  bound[k] = std::move(value);
}

void Trainer::Impl::bind_evaluation(size_t k, RuntimeValue value) {
  ++evaluation_bindings;
  evaluation->bind_input(k, std::move(value));
}

void Trainer::Impl::bind(const NamedValues& values) {
  for (const auto& [name, value] : values) {
    size_t k = plan->input_index(name);
    bind(k, fitted(k, value));
  }
}

NamedValues Trainer::Impl::with_target(const NamedValues& inputs, const Tensor& target) const {
  if (training.loss_inputs.empty()) return inputs;
  if (training.loss_inputs.size() > 1) {
    fail(ErrorKind::Usage, "the losses read {}: each is given by its name",
         name_list(training.loss_inputs));
  }
  NamedValues values = inputs;
  values.emplace_back(training.loss_inputs[0], target);
  return values;
}

double Trainer::Impl::step() {
  ThreadScope threads(options.threads);
  LimitedRun limited = limits();
  last = plan.get();
  plan->run(control);
  return scalar_value(plan->output(0).tensor);
}

double Trainer::Impl::compute_gradients() {
  LimitedRun limited = limits();
  if (!gradient_plan) make_parts();
  ThreadScope threads(options.threads);
  if (!writes_gradients) {
    for (size_t i = 0; i < training.parameters; ++i) {
      gradient_plan->bind_output(training.gradients_at() + i, gradients.part(i));
    }
    writes_gradients = true;
  }
  last = gradient_plan.get();
  gradient_plan->run(control);
  return scalar_value(gradient_plan->output(0).tensor);
}

void Trainer::Impl::apply() {
  LimitedRun limited = limits();
  if (!update_plan) make_parts();
  ThreadScope threads(options.threads);
  update_plan->run(control);
}

Trainer::Evaluation Trainer::Impl::evaluate(const NamedValues& values) {
  LimitedRun limited = limits();
  if (!evaluation) make_evaluation();
  for (const auto& [name, value] : values) {
    bind_evaluation(evaluation->input_index(name), fitted(plan->input_index(name), value));
  }
  ThreadScope threads(options.threads);
  evaluation->run(control);
  Evaluation result{scalar_value(evaluation->output(0).tensor), {}, losses_of(*evaluation)};
  for (size_t k = 0; k < training.outputs.size(); ++k) {
    result.outputs.push_back(evaluation->output(1 + k).tensor);
  }
  return result;
}

double Trainer::Impl::evaluate() {
  LimitedRun limited = limits();
  if (!evaluation) make_evaluation();
  ThreadScope threads(options.threads);
  last = evaluation.get();
  evaluation->run(control);
  return scalar_value(evaluation->output(0).tensor);
}

std::vector<double> Trainer::Impl::losses_of(const BoundPlan& from) const {
  std::vector<double> values;
  for (size_t k = 0; k < training_choice.losses.size(); ++k) {
    values.push_back(scalar_value(from.output(training.loss_at(k)).tensor));
  }
  return values;
}

void Trainer::Impl::set_lr(double value) {
  Tensor converted = convert(Tensor::scalar(value), training.lr_dtype);
  if (!std::isfinite(to_doubles(converted).front())) {
    fail(ErrorKind::Usage, "lr is {}, which is not finite as {}", value,
         to_string(training.lr_dtype));
  }
  rate = value;
  copy_elements(converted, lr);
}

}  // namespace onnxrun
