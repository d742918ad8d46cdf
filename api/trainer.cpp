#include "onnxrun/trainer.h"

#include <array>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/npz.h"
#include "node_records.h"
#include "onnx_exporter.h"
#include "trainer_impl.h"
#include "training/loss_sum.h"
#include "training/step_model.h"

namespace onnxrun {

Trainer::Trainer(const Model& model, TrainerOptions options)
    : impl_(std::make_unique<Impl>(model, options)) {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

double Trainer::step(const NamedValues& inputs, const Tensor& target) {
  return step(impl_->with_target(inputs, target));
}

double Trainer::step(const NamedValues& values) {
  impl_->bind(values);
  return impl_->step();
}

std::vector<std::string> Trainer::target_names() const { return impl_->training.loss_inputs; }
std::vector<std::string> Trainer::output_names() const { return impl_->training.outputs; }

void Trainer::bind_input(const std::string& name, Tensor tensor) {
  impl_->bind(impl_->plan->input_index(name), std::move(tensor));
}

void Trainer::bind_target(Tensor target) { impl_->bind(impl_->with_target({}, target)); }

double Trainer::step() { return impl_->step(); }

int64_t Trainer::bindings() const { return impl_->bindings; }
int64_t Trainer::evaluation_bindings() const { return impl_->evaluation_bindings; }

double Trainer::gradients(const NamedValues& inputs, const Tensor& target) {
  return gradients(impl_->with_target(inputs, target));
}

double Trainer::gradients(const NamedValues& values) {
  impl_->bind(values);
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
  return impl_->evaluate(impl_->with_target(inputs, target));
}

Trainer::Evaluation Trainer::evaluate(const NamedValues& values) { return impl_->evaluate(values); }

void Trainer::bind_evaluation_input(const std::string& name, Tensor tensor) {
  if (!impl_->evaluation) impl_->make_evaluation();
  impl_->bind_evaluation(impl_->evaluation->input_index(name), std::move(tensor));
}

double Trainer::evaluate() { return impl_->evaluate(); }

int64_t Trainer::evaluation_bytes() {
  if (!impl_->evaluation) impl_->make_evaluation();
  return impl_->evaluation->held_bytes();
}

void Trainer::cancel() { impl_->control.cancel(); }

void Trainer::observe(std::function<void(const Session::NodeRecord&)> observer) {
  impl_->plan->observe(observer ? record_nodes(std::move(observer),
                                               [impl = impl_.get()] { return impl->plan.get(); })
                                : Execution::Observer());
}

const Tensor& Trainer::output(size_t k) const {
  if (k >= impl_->training.outputs.size()) {
    fail(ErrorKind::Usage, "the losses read {} outputs", impl_->training.outputs.size());
  }
  return (impl_->last ? *impl_->last : *impl_->plan).output(1 + k).tensor;
}

std::vector<double> Trainer::losses() const {
  return impl_->losses_of(impl_->last ? *impl_->last : *impl_->plan);
}

void Trainer::set_learning_rate(double lr) { impl_->set_lr(lr); }
double Trainer::learning_rate() const { return impl_->rate; }

const Model& Trainer::model() const { return impl_->model; }
std::vector<UnsharedTensor> Trainer::unshared() const { return impl_->unshared; }

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
    if (i == impl_->state.size() || !impl_->is_weight(i))
      fail(ErrorKind::BadInput, "'{}' is no weight of this training", w.name);
    Tensor here = impl_->in_file_type(i);
    if (w.tensor.dtype() != here.dtype() || w.tensor.dims() != here.dims()) {
      fail(ErrorKind::BadInput, "'{}' is {}, but {} here", w.name, w.tensor.type_text(),
           here.type_text());
    }
    at.push_back(i);
  }
  for (size_t k = 0; k < at.size(); ++k) {
    for (size_t i : {at[k], impl_->shown_at(at[k])}) {
      Tensor& here = impl_->state[i];
      copy_elements(convert(weights[k].tensor, here.dtype()), here);
    }
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
  for (size_t k = 0; k < choice.losses.size(); ++k) {
    std::string name = target_name(choice, k);
    if (name.empty() || choice.target_types.count(name) > 0) continue;
    choice.target_types[name] = expected_target_type(impl_->base, choice.losses[k]);
  }
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
