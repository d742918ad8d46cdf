#include "onnxrun/session.h"

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "lowerings.h"
#include "node_records.h"
#include "passes/dead_nodes.h"

namespace onnxrun {

namespace {

// The part of the model that computes the wanted outputs.
Graph wanted_part(const Model& model, const std::vector<std::string>& outputs) {
  Graph graph = model.graph();
  if (outputs.empty()) return graph;
  graph.outputs.clear();
  for (const std::string& name : outputs) {
    ValueId v = graph.find(name);
    if (v == no_value || name.empty()) {
      fail(ErrorKind::BadInput, "the model has no value '{}'", name);
    }
    graph.outputs.push_back(v);
  }
  remove_dead_nodes(graph);
  std::vector<int> uses = graph.use_counts();
  std::erase_if(graph.inputs, [&](ValueId v) { return uses[static_cast<size_t>(v)] == 0; });
  return graph;
}

// Initializers that the caller feeds are inputs in these runs.
Graph with_fed_initializers(Graph graph, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    ValueId v = graph.find(name);
    graph.initializers.erase(v);
    std::erase(graph.overridable, v);
    graph.inputs.push_back(v);
  }
  return graph;
}

}  // namespace

struct Session::Impl {
  Impl(const Model& model, SessionOptions given)
      : options(std::move(given)),
        lowerings(model.lowerings()),
        base(wanted_part(model, options.outputs)) {
    for (ValueId v : base.outputs) output_names.push_back(base.name_of(v));
    use({});
    control.max_loop_iterations = options.max_loop_iterations;
    control.max_memory = options.max_memory;
  }

  bool is_overridable(const std::string& name) const {
    return std::any_of(base.overridable.begin(), base.overridable.end(),
                       [&](ValueId v) { return base.name_of(v) == name; });
  }

  void use(const std::vector<std::string>& fed_initializers) {
    fed = fed_initializers;
    PlanOptions plan_options{.optimize = options.optimize, .max_memory = options.max_memory};
    auto machine = lowerings->get(options, fed, [&] { return with_fed_initializers(base, fed); });
    plan = std::make_unique<BoundPlan>(std::move(machine), plan_options, std::vector<Tensor>());
    plan->observe(observer);
  }

  void run() {
    ThreadScope threads(options.threads);
    if (options.timeout_seconds) {
      control.deadline = std::chrono::steady_clock::now() +
                         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                             std::chrono::duration<double>(*options.timeout_seconds));
    }
    plan->run(control);
  }

  SessionOptions options;
  std::shared_ptr<Lowerings> lowerings;
  Graph base;
  std::vector<std::string> output_names;
  std::vector<std::string> fed;
  std::unique_ptr<BoundPlan> plan;
  RunControl control;
  Execution::Observer observer;
};

Session::Session(const Model& model, SessionOptions options)
    : impl_(std::make_unique<Impl>(model, std::move(options))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

std::vector<std::string> Session::input_names() const {
  std::vector<std::string> names;
  for (ValueId v : impl_->base.inputs) names.push_back(impl_->base.name_of(v));
  return names;
}

const std::vector<std::string>& Session::output_names() const { return impl_->output_names; }

NamedValues Session::run(const NamedValues& inputs) {
  std::vector<std::string> fed;
  for (const auto& [name, value] : inputs) {
    if (impl_->is_overridable(name)) fed.push_back(name);
  }
  if (fed != impl_->fed) impl_->use(fed);
  for (const auto& [name, value] : inputs) {
    impl_->plan->bind_input(impl_->plan->input_index(name), value);
  }
  impl_->run();
  NamedValues results;
  for (size_t k = 0; k < impl_->output_names.size(); ++k) {
    results.emplace_back(impl_->output_names[k], impl_->plan->output(k));
  }
  return results;
}

void Session::bind_input(const std::string& name, Tensor tensor) {
  impl_->plan->bind_input(impl_->plan->input_index(name), std::move(tensor));
}

void Session::bind_output(const std::string& name, Tensor memory) {
  impl_->plan->bind_output(impl_->plan->output_index(name), std::move(memory));
}

void Session::run() { impl_->run(); }

const RuntimeValue& Session::output(const std::string& name) const {
  return impl_->plan->output(impl_->plan->output_index(name));
}

void Session::cancel() { impl_->control.cancel(); }

void Session::observe(std::function<void(const NodeRecord&)> observer) {
  impl_->observer = observer ? record_nodes(std::move(observer),
                                            [impl = impl_.get()] { return impl->plan.get(); })
                             : Execution::Observer();
  impl_->plan->observe(impl_->observer);
}

}  // namespace onnxrun
