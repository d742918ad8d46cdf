#include "onnxrun/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/name_list.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "formats/npz.h"
#include "node_records.h"
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
  t.loss = {
      o.loss,         reduction_of(o.reduction), o.class_axis, o.allow_broadcast, o.class_weights,
      o.ignore_index, o.label_smoothing};
  t.clip_value = o.clip_value;
  t.clip_norm = o.clip_norm;
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
    allocate_state();
    bound.resize(training.graph.inputs.size());
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

  // Parameters and each of their slots lie in one buffer, if they are of one type.
  void allocate_state() {
    for (const TrainingState& s : training.state) state.push_back(s.initial.clone());
    flatten("", 0);
    const OptimizerInfo& optimizer = optimizer_for(training_choice.optimizer);
    for (size_t k = 0; k < optimizer.slots.size(); ++k) {
      flatten(std::string(optimizer.slots[k]), training.parameters + k);
    }
  }

  // The tensors from `first` on, one for each parameter; slots of one parameter lie together.
  void flatten(const std::string& slot, size_t first) {
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

  const FlatTensors& flat_tensors(const std::string& slot) const {
    auto it = flat.find(slot);
    if (it != flat.end()) return it->second;
    const auto& slots = optimizer_for(training_choice.optimizer).slots;
    if (!slot.empty() && std::find(slots.begin(), slots.end(), slot) == slots.end()) {
      fail(ErrorKind::Usage, "the optimizer has no slot '{}'; it has {}", slot,
           name_list({slots.begin(), slots.end()}));
    }
    fail(ErrorKind::Unsupported, "parameters of several element types do not lie in one buffer");
  }

  // The tensors that another graph of this training moves, by their names here.
  std::vector<Tensor> shared_state(const TrainingGraph& part) const {
    std::vector<Tensor> shared;
    for (const TrainingState& s : part.state) shared.push_back(state[state_at(s.name)]);
    return shared;
  }

  size_t state_at(const std::string& name) const {
    auto it = std::find_if(training.state.begin(), training.state.end(),
                           [&](const TrainingState& s) { return s.name == name; });
    return static_cast<size_t>(it - training.state.begin());
  }

  // gradients() and apply(), made when first needed.
  void make_parts() {
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
    size_t parameters_at = first.model_inputs + (first.has_target ? 1 : 0);
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

  void bind(size_t k, RuntimeValue value) {
    plan->bind_input(k, value);
    if (gradient_plan) gradient_plan->bind_input(k, value);
    bound[k] = std::move(value);
  }

  void bind(const NamedValues& inputs, const Tensor& target) {
    for (const auto& [name, value] : inputs) {
      size_t k = plan->input_index(name);
      bind(k, fitted(k, value));
    }
    size_t k = training.target_input();
    if (training.has_target) bind(k, fitted(k, target));
  }

  double compute_gradients() {
    if (!gradient_plan) make_parts();
    ThreadScope threads(options.threads);
    if (!writes_gradients) {
      for (size_t i = 0; i < training.parameters; ++i) {
        gradient_plan->bind_output(2 + i, gradients.part(i));
      }
      writes_gradients = true;
    }
    last = gradient_plan.get();
    gradient_plan->run(control);
    return loss_of(*gradient_plan);
  }

  void apply() {
    if (!update_plan) make_parts();
    ThreadScope threads(options.threads);
    update_plan->run(control);
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
    last = plan.get();
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
  std::unique_ptr<BoundPlan> gradient_plan, update_plan;
  const BoundPlan* last = nullptr;          // that computed the output
  std::map<std::string, FlatTensors> flat;  // parameters under "", slots under their names
  FlatTensors gradients;
  bool writes_gradients = false;  // the plan's outputs are bound, as soon as its inputs were
  std::vector<std::optional<RuntimeValue>> bound;
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
  impl_->bind(inputs, target);
  return impl_->step();
}

void Trainer::bind_input(const std::string& name, Tensor tensor) {
  impl_->bind(impl_->plan->input_index(name), std::move(tensor));
}

void Trainer::bind_target(Tensor target) {
  size_t k = impl_->training.target_input();
  impl_->bind(k, impl_->fitted(k, target));
}

double Trainer::step() { return impl_->step(); }

double Trainer::gradients(const NamedValues& inputs, const Tensor& target) {
  impl_->bind(inputs, target);
  return impl_->compute_gradients();
}

double Trainer::gradients() { return impl_->compute_gradients(); }
void Trainer::apply() { impl_->apply(); }

FlatTensors Trainer::parameters() const { return impl_->flat_tensors(""); }
FlatTensors Trainer::slots(const std::string& slot) const { return impl_->flat_tensors(slot); }
FlatTensors Trainer::gradient_buffer() const {
  if (!impl_->gradient_plan) impl_->make_parts();
  return impl_->gradients;
}

NamedTensors Trainer::state() const {
  NamedTensors copies;
  for (size_t i = 0; i < impl_->state.size(); ++i) {
    copies.push_back({impl_->training.state[i].name, impl_->state[i].clone()});
  }
  return copies;
}

void Trainer::set_state(const NamedTensors& state) {
  std::vector<const Tensor*> found(impl_->state.size(), nullptr);
  for (const NamedTensor& given : state) {
    size_t i = impl_->state_at(given.name);
    if (i == found.size()) {
      fail(ErrorKind::BadInput, "'{}' is no state of this training", given.name);
    }
    const Tensor& here = impl_->state[i];
    if (given.tensor.dtype() != here.dtype() || given.tensor.dims() != here.dims()) {
      fail(ErrorKind::BadInput, "'{}' is {}, but {} here", given.name, given.tensor.type_text(),
           here.type_text());
    }
    found[i] = &given.tensor;
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) fail(ErrorKind::BadInput, "'{}' is missing", impl_->training.state[i].name);
  }
  for (size_t i = 0; i < found.size(); ++i) copy_elements(*found[i], impl_->state[i]);
}

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

void Trainer::observe(std::function<void(const Session::NodeRecord&)> observer) {
  impl_->plan->observe(observer ? record_nodes(std::move(observer),
                                               [impl = impl_.get()] { return impl->plan.get(); })
                                : Execution::Observer());
}

const Tensor& Trainer::output() const {
  return (impl_->last ? *impl_->last : *impl_->plan).output(1).tensor;
}

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

void Trainer::set_weights(const NamedTensors& weights) {
  std::vector<size_t> at;
  for (const NamedTensor& w : weights) {
    size_t i = impl_->state_at(w.name);
    bool is_weight = i < impl_->state.size() &&
                     (impl_->training.state[i].kind == TrainingState::Kind::Parameter ||
                      impl_->training.state[i].kind == TrainingState::Kind::Statistic);
    if (!is_weight) fail(ErrorKind::BadInput, "'{}' is no weight of this training", w.name);
    Tensor here = impl_->in_file_type(i);
    if (w.tensor.dtype() != here.dtype() || w.tensor.dims() != here.dims()) {
      fail(ErrorKind::BadInput, "'{}' is {}, but {} here", w.name, w.tensor.type_text(),
           here.type_text());
    }
    at.push_back(i);
  }
  for (size_t k = 0; k < at.size(); ++k) {
    Tensor& here = impl_->state[at[k]];
    copy_elements(convert(weights[k].tensor, here.dtype()), here);
  }
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
