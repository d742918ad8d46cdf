// What Session and Trainer share: plans by input signature and the memory bound to them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "passes/lower.h"
#include "plan/execution.h"

namespace onnxrun {

// Keeps the inputs of a machine graph, finds or compiles the plan for their types, and runs it.
// State tensors are shared by all plans.
class BoundPlan {
 public:
  // `plans` may be shared by many of one machine graph.
  BoundPlan(std::shared_ptr<const MachineGraph> machine, PlanOptions options,
            std::vector<Tensor> state,
            std::shared_ptr<PlanCache> plans = std::make_shared<PlanCache>());

  const Graph& graph() const { return machine_->graph(); }

  // Position among graph().inputs; throws BadInput listing the names there are.
  size_t input_index(const std::string& name) const;
  size_t output_index(const std::string& name) const;

  // Throws BadInput unless the value is what the graph declares (graph/value_type.h).
  void bind_input(size_t k, RuntimeValue value);
  // Throws BadInput unless the memory fits what the inputs that are bound give; the binding before
  // then stays. One that no longer fits after other inputs were bound fails every run.
  void bind_output(size_t k, Tensor memory);

  // The execution for what is bound now. Throws BadInput if an input is missing.
  Execution& ready();
  // Bytes that it holds between runs.
  int64_t held_bytes();
  // What the run sizes may take what the plan's own memory leaves of the limit.
  void run(RunControl& control);
  // Of the last run; throws Usage if there was none with the inputs that are bound.
  const RuntimeValue& output(size_t k) const;
  void observe(Execution::Observer observer);

 private:
  struct Cached {
    std::vector<Type> types;
    std::unique_ptr<Execution> execution;
  };

  bool is_state(size_t k) const { return state_input_[k]; }
  // The execution for the inputs that are bound, with them.
  Execution& prepared();
  // Forgets executions until those that idle and one of `plan` hold no more than they may.
  void make_room(const Plan& plan);

  std::shared_ptr<const MachineGraph> machine_;
  PlanOptions options_;
  std::shared_ptr<PlanCache> plans_;
  std::vector<Tensor> state_;
  std::vector<bool> state_input_;
  std::vector<RuntimeValue> inputs_;
  std::vector<Type> types_;  // what the inputs were admitted as
  std::vector<bool> bound_;
  std::vector<std::optional<Tensor>> outputs_;
  std::unordered_map<std::string, size_t> input_at_, output_at_;  // positions by name
  std::vector<Cached> cache_;                                     // most recently used last
  Execution* current_ = nullptr;
  Execution::Observer observer_;
};

}  // namespace onnxrun
