#include "bound_plan.h"

#include <algorithm>

#include "base/error.h"
#include "graph/value_type.h"
#include "kernels/openblas.h"

namespace onnxrun {

// Shapes beyond this many in turn are compiled again, so that memory stays bounded.
static constexpr size_t max_cached_plans = 32;
// What all of them together may hold, or twice what the largest does: two that take turns, as whole
// batches and the last one of an epoch do, keep their memory.
static constexpr int64_t idle_bytes = 64 << 20;

static std::unordered_map<std::string, size_t> positions(const Graph& graph,
                                                         const std::vector<ValueId>& ids) {
  std::unordered_map<std::string, size_t> at;
  for (size_t k = 0; k < ids.size(); ++k) at.emplace(graph.name_of(ids[k]), k);
  return at;
}

BoundPlan::BoundPlan(std::shared_ptr<const MachineGraph> machine, PlanOptions options,
                     std::vector<Tensor> state, std::shared_ptr<PlanCache> plans)
    : machine_(std::move(machine)),
      options_(options),
      plans_(std::move(plans)),
      state_(std::move(state)),
      state_input_(graph().inputs.size(), false),
      inputs_(graph().inputs.size()),
      types_(graph().inputs.size()),
      bound_(graph().inputs.size(), false),
      outputs_(graph().outputs.size()),
      input_at_(positions(graph(), graph().inputs)),
      output_at_(positions(graph(), graph().outputs)) {
  require_products(options_.products);
  if (options_.max_memory != INT64_MAX) {
    options_.max_memory = std::max<int64_t>(options_.max_memory - machine_->added_bytes(), 0);
  }
  std::vector<bool> moves(graph().value_count(), false);
  for (const StateBinding& s : graph().state) moves[static_cast<size_t>(s.in)] = true;
  for (size_t k = 0; k < graph().inputs.size(); ++k) {
    state_input_[k] = moves[static_cast<size_t>(graph().inputs[k])];
  }
}

static size_t index_of(const std::unordered_map<std::string, size_t>& positions, const Graph& graph,
                       const std::vector<ValueId>& ids, const std::string& name, const char* what) {
  auto it = positions.find(name);
  if (it != positions.end()) return it->second;
  std::string names;
  for (ValueId v : ids) names += (names.empty() ? "'" : ", '") + graph.name_of(v) + "'";
  fail(ErrorKind::BadInput, "there is no {} '{}'; there are {}", what, name,
       names.empty() ? "none" : names);
}

size_t BoundPlan::input_index(const std::string& name) const {
  return index_of(input_at_, graph(), graph().inputs, name, "input");
}
size_t BoundPlan::output_index(const std::string& name) const {
  return index_of(output_at_, graph(), graph().outputs, name, "output");
}

void BoundPlan::bind_input(size_t k, RuntimeValue value) {
  const Value& input = graph().value(graph().inputs[k]);
  Type admitted = admit(value, input.type, input.name);
  bool same = bound_[k] && current_ && inputs_[k].is_tensor() && value.is_tensor() &&
              inputs_[k].tensor.dtype() == value.tensor.dtype() &&
              inputs_[k].tensor.dims() == value.tensor.dims();
  inputs_[k] = std::move(value);
  types_[k] = std::move(admitted);
  bound_[k] = true;
  if (same) {
    current_->bind_input(k, inputs_[k]);
  } else {
    current_ = nullptr;
  }
}

void BoundPlan::bind_output(size_t k, Tensor memory) {
  // The other outputs need not fit yet: they may be bound anew, too, before the run.
  Execution& execution = current_ ? *current_ : prepared();
  execution.bind_output(k, memory);
  outputs_[k] = std::move(memory);
}

// What an execution holds between runs.
static int64_t held_by(const Plan& plan) { return plan.arena_bytes() + plan.scratch_bytes(); }

void BoundPlan::run(RunControl& control) {
  Execution& execution = ready();
  if (options_.max_memory != INT64_MAX) {
    control.max_memory = options_.max_memory - held_by(execution.plan());
  }
  execution.run(control);
}

int64_t BoundPlan::held_bytes() { return held_by(ready().plan()); }

void BoundPlan::make_room(const Plan& plan) {
  const int64_t wanted = held_by(plan);
  int64_t idle = 0, largest = wanted;
  for (const Cached& c : cache_) {
    int64_t held = held_by(c.execution->plan());
    idle += held;
    largest = std::max(largest, held);
  }
  const int64_t most = std::min(std::max(idle_bytes, 2 * largest), options_.max_memory - wanted);
  while (!cache_.empty() && (cache_.size() == max_cached_plans || idle > most)) {
    idle -= held_by(cache_.front().execution->plan());
    cache_.erase(cache_.begin());
  }
}

const RuntimeValue& BoundPlan::output(size_t k) const {
  if (!current_)
    fail(ErrorKind::Usage, "outputs are there after a run of the inputs that are bound");
  return current_->output(k);
}

void BoundPlan::observe(Execution::Observer observer) {
  observer_ = std::move(observer);
  current_ = nullptr;
}

Execution& BoundPlan::ready() {
  if (current_) return *current_;
  Execution& execution = prepared();
  for (size_t k = 0; k < outputs_.size(); ++k) {
    if (outputs_[k]) execution.bind_output(k, *outputs_[k]);
  }
  // Only now: a binding that failed would be forgotten otherwise.
  current_ = &execution;
  return execution;
}

Execution& BoundPlan::prepared() {
  std::vector<Type> types;
  for (size_t k = 0; k < inputs_.size(); ++k) {
    const Value& value = graph().value(graph().inputs[k]);
    if (!bound_[k] && !is_state(k)) {
      fail(ErrorKind::BadInput, "input '{}' ({}) is missing", value.name, value.type.to_string());
    }
    types.push_back(is_state(k) ? value.type : types_[k]);
  }
  auto same = [&](const Cached& c) {
    return std::equal(types.begin(), types.end(), c.types.begin(),
                      [](const Type& a, const Type& b) { return identical(a, b); });
  };
  auto it = std::find_if(cache_.begin(), cache_.end(), same);
  if (!cache_.empty() && it != cache_.end() - 1) cache_.back().execution->rest();
  if (it == cache_.end()) {
    auto plan = plans_->get(graph(), types, options_);
    make_room(*plan);
    cache_.push_back({std::move(types), std::make_unique<Execution>(std::move(plan), state_)});
  } else {
    std::rotate(it, it + 1, cache_.end());
  }
  Execution& chosen = *cache_.back().execution;
  chosen.observe(observer_);
  for (size_t k = 0; k < inputs_.size(); ++k) {
    if (!is_state(k)) chosen.bind_input(k, inputs_[k]);
  }
  return chosen;
}

}  // namespace onnxrun
