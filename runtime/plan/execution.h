// One run after another of a plan.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "plan/plan.h"

namespace onnxrun {

class ChecksAhead;
struct RunningStep;

// Owns the memory a plan runs on. Used by one thread at a time; different executions of one plan
// may run at the same time. A run of static steps allocates nothing as long as all outputs are
// bound.
class Execution {
 public:
  // `state` holds one tensor for each of graph().state, which runs read and write in place.
  // With `control`, which is that of all runs, this is the execution of a body: the memory of it
  // and of its results is counted against the limit (Limit if it is hit), containers that come in
  // are its own to change, and results may be handles to inputs and constants. Without, the plan's
  // own limit has been enough.
  explicit Execution(std::shared_ptr<const Plan> plan, std::vector<Tensor> state = {},
                     const RunControl* control = nullptr);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  const Plan& plan() const { return *plan_; }

  // Input k of the graph; not for state. The value must have the type the plan was compiled for (an
  // Internal error otherwise) and keep its memory until the run is over.
  void bind_input(size_t k, RuntimeValue value);
  // Output k is written to this tensor's memory, in this run and later ones. An unbound output is
  // memory of its own in every run.
  void bind_output(size_t k, Tensor memory);

  // Throws Numeric, with the state as it was, if a guarded value is not finite; the text names the
  // first node that made it so. Other errors carry operator and node.
  void run(const RunControl& control);

  // Lets go of the inputs, which have to be bound again before the next run, and of outputs in
  // memory of its own.
  void rest();

  // Output k of the last run.
  const RuntimeValue& output(size_t k) const { return outputs_[k]; }

  // For bodies, which run again and again. Whether the plan is for a value like this as input k.
  bool accepts_input(size_t k, const RuntimeValue& value) const;
  // As bind_input(), of a value that it accepts, without checks: tensors are shared until
  // release_input(), containers handed over.
  void lend_input(size_t k, RuntimeValue& value);
  void release_input(size_t k);
  // Takes a result of an earlier run, which may serve as memory for the next, and gives this run's.
  void offer_output(size_t k, RuntimeValue& value);
  RuntimeValue take_output(size_t k) { return std::exchange(outputs_[k], RuntimeValue()); }

  // Called after every step of the runs to come with the node and the seconds it took. Null stands
  // for inputs and outputs that are not there; an input that the node was written over has its
  // type, but no longer its elements. Nodes of bodies count to the node around.
  using Observer =
      std::function<void(const Node&, std::span<const RuntimeValue* const> inputs,
                         std::span<const RuntimeValue* const> outputs, double seconds)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

 private:
  void point_buffer(const Buffer& buffer, void* data, const std::shared_ptr<void>& keep_alive);
  void copy_what_escapes(RunningStep& step);
  void run_steps(size_t begin, size_t end, const RunControl& control);
  // The steps that move state: neither a time limit nor cancelling ends them on their way.
  void commit(const RunControl& control);
  void point_context(RunningStep& step, const KernelState* state, std::byte* scratch,
                     const RunControl* control);
  void find_last_uses(RunningStep& step, int index);
  void check_inputs(const RunningStep& step, const Node& node);
  void check_outputs(const RunningStep& step) const;
  void run_dynamic(size_t step);
  void run_inferred(RunningStep& step, Node& node);
  Tensor new_result(const Tensor& like, const RunControl& control) const;
  void make_outputs(const RunControl& control);
  void check_guards(const RunControl& control);
  // The guard is a value, or output `output` of step `ahead`.
  [[noreturn]] void blame_first_node(const RunControl& control, const std::string& guard,
                                     size_t ahead = SIZE_MAX, size_t output = 0);
  void copy_results(const RunControl& control);

  std::shared_ptr<const Plan> plan_;
  Tensor arena_;
  Tensor scratch_;
  std::vector<RuntimeValue> values_;
  std::vector<std::unique_ptr<RunningStep>> steps_;
  // Those that are asked what they would give before state moves.
  struct AskedStep {
    size_t step;
    const ChecksAhead* op;
  };
  std::vector<AskedStep> asked_;
  std::vector<Tensor> state_;
  std::vector<RuntimeValue> outputs_;
  std::vector<bool> bound_;
  // Of a body's inputs: where they stand, and whether they are tensors of known lengths.
  struct InputSlot {
    ValueId id;
    const Buffer* buffer;
    bool concrete;
  };
  std::vector<InputSlot> inputs_;
  bool body_ = false;
  std::vector<char> moves_;  // of each copy: whether nothing else needs its value after the run
  std::unique_ptr<Graph> types_;  // what dynamic steps infer on
  Observer observer_;
};

}  // namespace onnxrun
