#include "onnxrun/stored_training.h"

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "builtin_ops.h"
#include "graph/graph.h"
#include "import_options.h"
#include "limited_run.h"
#include "onnx_exporter.h"
#include "training/modes.h"
#include "training_importer.h"

namespace onnxrun {

namespace {

ImportedTraining read_training(const Model& model) {
  const LoadOptions& load = model.load_options();
  const auto& source = model.graph().source;
  if (!source || source->bytes.empty()) {
    fail(ErrorKind::Usage, "the model was not read from a file");
  }
  RunControl control;
  control.max_memory = load.max_memory;
  if (load.timeout_seconds) control.limit_time(*load.timeout_seconds);
  RunScope scope(control, load.max_tensor_bytes);
  ImportedTraining training = import_training(
      *source, load.operators ? load.operators->registry() : builtin_ops(), import_options(load));
  if (training.steps.empty()) {
    fail(ErrorKind::Usage, "the file describes no training; `onnxrun train` trains any model");
  }
  return training;
}

}  // namespace

struct StoredTraining::Impl {
  // A graph of the file, ready to run.
  struct Procedure {
    std::unique_ptr<BoundPlan> plan;
    size_t inputs = 0, outputs = 0;
    std::vector<size_t> reads, writes;  // of the state, behind inputs and outputs
  };

  Impl(const Model& model, const StoredTrainingOptions& o)
      : options(o), training(read_training(model)), signature(model.graph().registry()) {
    if (!options.session.outputs.empty()) {
      fail(ErrorKind::Usage, "a step gives all its outputs; there is no option 'outputs' here");
    }
    control.max_memory = options.session.max_memory;
    control.max_loop_iterations = options.session.max_loop_iterations;
    LimitedRun limited = limits();
    for (auto& p : training.initializations) initializations.push_back(prepared(std::move(p)));
    for (auto& p : training.steps) {
      collect_names(p);
      procedures.push_back(prepared(std::move(p)));
    }
    training.initializations.clear();
    training.steps.clear();
    reset();
  }

  LimitedRun limits() {
    return {control, options.session.timeout_seconds, options.session.max_tensor_bytes};
  }

  void reset() {
    state.clear();
    for (const auto& s : training.state) state.push_back(s.initial);
    steps = 0;
  }

  // Inputs that several algorithms read under one name are one.
  void collect_names(const ImportedTraining::Procedure& p) {
    for (size_t k = 0; k < p.inputs; ++k) {
      const Value& value = p.graph.value(p.graph.inputs[k]);
      ValueId known = signature.find(value.name);
      if (known == no_value) {
        signature.add_input(value.name, value.type);
      } else if (!compatible(signature.value(known).type, value.type)) {
        fail(ErrorKind::BadModel, "input '{}' is {} and {}", value.name,
             signature.value(known).type.to_string(), value.type.to_string());
      }
    }
    for (size_t k = 0; k < p.outputs; ++k) {
      const std::string& name = p.graph.name_of(p.graph.outputs[k]);
      if (std::find(outputs.begin(), outputs.end(), name) == outputs.end()) {
        outputs.push_back(name);
      }
    }
  }

  Procedure prepared(ImportedTraining::Procedure p) const {
    Procedure made{nullptr, p.inputs, p.outputs, p.reads, p.writes};
    Graph& graph = p.graph;
    graph.overridable.clear();
    ValueId step = graph.add_input(graph.unique_name("step"), Type::tensor(DType::Int64, Shape{}));
    fix_draws(graph, options.seed, step);
    for (size_t k = p.outputs; k < graph.outputs.size(); ++k) {
      const Type& type = graph.value(graph.outputs[k]).type;
      if (is_float(type.dtype)) graph.guards.push_back(graph.outputs[k]);
    }
    made.plan = std::make_unique<BoundPlan>(
        lower(std::move(graph),
              {.optimize = options.session.optimize, .max_memory = options.session.max_memory}),
        PlanOptions{.optimize = options.session.optimize,
                    .max_memory = options.session.max_memory,
                    .products = options.session.products},
        std::vector<Tensor>());
    return made;
  }

  // Runs it on `now`, of which it changes what it writes.
  void run(Procedure& p, const NamedValues& inputs, std::vector<Tensor>& now) {
    BoundPlan& plan = *p.plan;
    for (size_t k = 0; k < p.inputs; ++k) {
      const std::string& name = plan.graph().name_of(plan.graph().inputs[k]);
      auto given = std::find_if(inputs.begin(), inputs.end(),
                                [&](const auto& value) { return value.first == name; });
      if (given == inputs.end()) fail(ErrorKind::BadInput, "input '{}' is missing", name);
      plan.bind_input(k, given->second);
    }
    size_t at = p.inputs;
    for (size_t s : p.reads) plan.bind_input(at++, now[s]);
    plan.bind_input(at, Tensor::scalar(steps));
    plan.run(control);
    std::vector<Tensor> written;
    for (size_t k = 0; k < p.writes.size(); ++k) {
      const Tensor& value = plan.output(p.outputs + k).tensor;
      const auto& target = training.state[p.writes[k]];
      if (value.type_text() != target.initial.type_text()) {
        fail(ErrorKind::BadInput, "'{}', {}, would become {}", target.name,
             target.initial.type_text(), value.type_text());
      }
      written.push_back(value);
    }
    for (size_t k = 0; k < written.size(); ++k) now[p.writes[k]] = std::move(written[k]);
  }

  void check_names(const NamedValues& inputs) const {
    for (const auto& [name, value] : inputs) {
      if (signature.find(name) != no_value) continue;
      std::string names;
      for (ValueId v : signature.inputs) {
        names += (names.empty() ? "" : ", ") + signature.name_of(v);
      }
      fail(ErrorKind::BadInput, "there is no input '{}'; inputs are {}", name, names);
    }
  }

  StoredTrainingOptions options;
  ImportedTraining training;
  Graph signature;  // the inputs
  std::vector<std::string> outputs;
  std::vector<Procedure> initializations, procedures;
  std::vector<Tensor> state;
  int64_t steps = 0;
  RunControl control;
};

StoredTraining::StoredTraining(const Model& model, StoredTrainingOptions options)
    : impl_(std::make_unique<Impl>(model, options)) {}
StoredTraining::~StoredTraining() = default;
StoredTraining::StoredTraining(StoredTraining&&) noexcept = default;
StoredTraining& StoredTraining::operator=(StoredTraining&&) noexcept = default;

std::vector<ValueInfo> StoredTraining::inputs() const {
  std::vector<ValueInfo> list;
  for (ValueId v : impl_->signature.inputs) {
    list.push_back({impl_->signature.name_of(v), impl_->signature.value(v).type.to_string()});
  }
  return list;
}

const std::vector<std::string>& StoredTraining::output_names() const { return impl_->outputs; }

void StoredTraining::initialize() {
  ThreadScope threads(impl_->options.session.threads);
  LimitedRun limited = impl_->limits();
  std::vector<Tensor> before = impl_->state;
  int64_t steps = impl_->steps;
  impl_->reset();
  try {
    for (Impl::Procedure& p : impl_->initializations) impl_->run(p, {}, impl_->state);
  } catch (...) {
    impl_->state = std::move(before);
    impl_->steps = steps;
    throw;
  }
}

NamedValues StoredTraining::step(const NamedValues& inputs) {
  ThreadScope threads(impl_->options.session.threads);
  LimitedRun limited = impl_->limits();
  impl_->check_names(inputs);
  std::vector<Tensor> now = impl_->state;
  NamedValues results;
  for (Impl::Procedure& p : impl_->procedures) {
    impl_->run(p, inputs, now);
    for (size_t k = 0; k < p.outputs; ++k) {
      const std::string& name = p.plan->graph().name_of(p.plan->graph().outputs[k]);
      bool there = std::any_of(results.begin(), results.end(),
                               [&](const auto& result) { return result.first == name; });
      if (!there) results.emplace_back(name, p.plan->output(k));
    }
  }
  impl_->state = std::move(now);
  ++impl_->steps;
  return results;
}

int64_t StoredTraining::steps() const { return impl_->steps; }

NamedTensors StoredTraining::state() const {
  NamedTensors list;
  for (size_t i = 0; i < impl_->state.size(); ++i) {
    list.push_back({impl_->training.state[i].name, impl_->state[i]});
  }
  return list;
}

void StoredTraining::set_state(const NamedTensors& state) {
  const auto& known = impl_->training.state;
  std::vector<Tensor> now = impl_->state;
  for (const NamedTensor& given : state) {
    auto it = std::find_if(known.begin(), known.end(),
                           [&](const auto& s) { return s.name == given.name; });
    if (it == known.end()) fail(ErrorKind::BadInput, "training changes no '{}'", given.name);
    if (it->initial.type_text() != given.tensor.type_text()) {
      fail(ErrorKind::BadInput, "'{}' is {}, not {}", given.name, it->initial.type_text(),
           given.tensor.type_text());
    }
    now[static_cast<size_t>(it - known.begin())] = given.tensor;
  }
  impl_->state = std::move(now);
}

void StoredTraining::save(const std::string& path, bool in_place) const {
  Graph file(impl_->signature.registry());
  file.source = impl_->training.source;
  std::map<int, Tensor> payloads;
  for (size_t i = 0; i < impl_->state.size(); ++i) {
    payloads[impl_->training.state[i].stored] = impl_->state[i];
  }
  export_trained(file, payloads, path, {.in_place = in_place});
}

void StoredTraining::cancel() { impl_->control.cancel(); }

const Graph& StoredTraining::signature() const { return impl_->signature; }

}  // namespace onnxrun
