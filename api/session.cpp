#include "onnxrun/session.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "bound_plan.h"
#include "limited_run.h"
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
  // What one thread runs on.
  struct Worker {
    std::optional<std::vector<std::string>> fed;  // the initializers that are inputs here
    std::unique_ptr<BoundPlan> plan;
    RunControl control;
    std::atomic<bool> busy = false;
  };
  // What workers that feed the same initializers share.
  struct Compiled {
    std::shared_ptr<const MachineGraph> machine;
    std::shared_ptr<PlanCache> plans;
  };

  Impl(const Model& model, SessionOptions given)
      : options(std::move(given)),
        lowerings(model.lowerings()),
        base(wanted_part(model, options.outputs)) {
    for (ValueId v : base.outputs) output_names.push_back(base.name_of(v));
    own = new_worker();
    LimitedRun limited = limit(*own);
    use(*own, {});
  }

  std::unique_ptr<Worker> new_worker() const {
    auto worker = std::make_unique<Worker>();
    worker->control.max_loop_iterations = options.max_loop_iterations;
    worker->control.max_memory = options.max_memory;
    return worker;
  }

  bool is_overridable(const std::string& name) const {
    return std::any_of(base.overridable.begin(), base.overridable.end(),
                       [&](ValueId v) { return base.name_of(v) == name; });
  }

  Compiled compiled_for(const std::vector<std::string>& fed) {
    std::lock_guard lock(mutex);
    Compiled& found = compiled[fed];
    if (!found.machine) {
      found.machine =
          lowerings->get(options, fed, [&] { return with_fed_initializers(base, fed); });
      found.plans = std::make_shared<PlanCache>();
    }
    return found;
  }

  void use(Worker& worker, const std::vector<std::string>& fed) {
    if (worker.fed == fed) return;
    PlanOptions plan_options{.optimize = options.optimize,
                             .max_memory = options.max_memory,
                             .products = options.products};
    Compiled c = compiled_for(fed);
    worker.plan = std::make_unique<BoundPlan>(std::move(c.machine), plan_options,
                                              std::vector<Tensor>(), std::move(c.plans));
    worker.plan->observe(observer_of(worker));
    worker.fed = fed;
  }

  Execution::Observer observer_of(Worker& worker) const {
    if (!observer) return {};
    return record_nodes(observer, [&worker] { return worker.plan.get(); });
  }

  // An idle worker, its own if that is one; there are as many as threads have run at a time.
  Worker& take() {
    Worker& worker = own->busy.exchange(true) ? take_other() : *own;
    if (cancels_next && cancels_next.exchange(false)) worker.control.cancel();
    return worker;
  }
  Worker& take_other() {
    std::lock_guard lock(mutex);
    for (auto& other : others) {
      if (!other->busy.exchange(true)) return *other;
    }
    others.push_back(new_worker());
    others.back()->busy = true;
    return *others.back();
  }

  void cancel() {
    std::lock_guard lock(mutex);
    cancels_next = true;
    auto cancel_busy = [&](Worker& worker) {
      if (!worker.busy) return;
      worker.control.cancel();
      cancels_next = false;
    };
    cancel_busy(*own);
    for (auto& other : others) cancel_busy(*other);
  }

  LimitedRun limit(Worker& worker) const {
    return {worker.control, options.timeout_seconds, options.max_tensor_bytes};
  }
  void run(Worker& worker) const {
    ThreadScope threads(options.threads);
    worker.plan->run(worker.control);
  }

  SessionOptions options;
  std::shared_ptr<Lowerings> lowerings;
  Graph base;
  std::vector<std::string> output_names;
  std::function<void(const NodeRecord&)> observer;
  std::unique_ptr<Worker> own;  // memory is bound to it, and a single thread always runs on it
  std::mutex mutex;             // of what follows
  std::map<std::vector<std::string>, Compiled> compiled;
  std::vector<std::unique_ptr<Worker>> others;
  std::atomic<bool> cancels_next = false;
};

namespace {

// A worker for the time of a run.
template <typename Impl>
class Taken {
 public:
  explicit Taken(Impl& impl) : worker_(impl.take()) {}
  ~Taken() { worker_.busy = false; }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  auto& operator*() const { return worker_; }

 private:
  typename Impl::Worker& worker_;
};

}  // namespace

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
  const Taken taken(*impl_);
  Impl::Worker& worker = *taken;
  LimitedRun limited = impl_->limit(worker);
  impl_->use(worker, fed);
  for (const auto& [name, value] : inputs) {
    worker.plan->bind_input(worker.plan->input_index(name), value);
  }
  impl_->run(worker);
  NamedValues results;
  for (size_t k = 0; k < impl_->output_names.size(); ++k) {
    results.emplace_back(impl_->output_names[k], worker.plan->output(k));
  }
  return results;
}

void Session::bind_input(const std::string& name, Tensor tensor) {
  BoundPlan& plan = *impl_->own->plan;
  plan.bind_input(plan.input_index(name), std::move(tensor));
}

void Session::bind_output(const std::string& name, Tensor memory) {
  BoundPlan& plan = *impl_->own->plan;
  plan.bind_output(plan.output_index(name), std::move(memory));
}

void Session::run() {
  const Taken taken(*impl_);
  if (&*taken != impl_->own.get()) {
    fail(ErrorKind::Usage, "bound memory is for one thread, and another one is running");
  }
  LimitedRun limited = impl_->limit(*taken);
  impl_->run(*taken);
}

const RuntimeValue& Session::output(const std::string& name) const {
  const BoundPlan& plan = *impl_->own->plan;
  return plan.output(plan.output_index(name));
}

void Session::cancel() { impl_->cancel(); }

void Session::observe(std::function<void(const NodeRecord&)> observer) {
  impl_->observer = std::move(observer);
  auto observe_with = [&](Impl::Worker& worker) {
    if (worker.plan) worker.plan->observe(impl_->observer_of(worker));
  };
  observe_with(*impl_->own);
  for (auto& other : impl_->others) observe_with(*other);
}

}  // namespace onnxrun
