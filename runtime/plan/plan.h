// A graph compiled for one signature of input types: what to run in which order on which memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/run_context.h"

namespace onnxrun {

struct PlanOptions {
  // Evaluate what depends on constants alone, and let outputs take over the buffers of inputs.
  bool optimize = true;
  // Bytes of the arena.
  int64_t max_memory = INT64_MAX;
  Products products = Products::Own;
  // What plans of the same constants share; null: nothing.
  std::shared_ptr<PackedConstants> packed = nullptr;
};

// Where a value's elements live.
struct Buffer {
  enum class Kind : uint8_t {
    Constant,  // in the plan
    Input,     // index: which input; the caller's
    State,     // index: which state binding; the session's
    Output,    // index: which output; the caller's or made for the run
    Arena,     // at `offset`
    Dynamic,   // sized while running
  };
  Kind kind = Kind::Dynamic;
  int index = -1;
  int64_t bytes = 0;
  int64_t offset = 0;
  int first = 0, last = 0;      // steps between which its contents matter
  std::vector<ValueId> values;  // those that live in it: one, and its views
};

class Plan;

// Plans of one graph by signature, made as they are met; what kernels lay out of constants they
// share. Thread-safe.
class PlanCache {
 public:
  std::shared_ptr<const Plan> get(const Graph& graph, std::span<const Type> inputs,
                                  const PlanOptions& options);

 private:
  static constexpr size_t max_kept = 64;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Plan>> plans_;
  std::shared_ptr<PackedConstants> packed_ = std::make_shared<PackedConstants>();
};

struct Step {
  int node = 0;  // index into Plan::graph().nodes
  bool dynamic = false;
  bool idle = false;  // static, and its outputs have no elements: there is nothing to run
  bool is_checked_ahead = false;
  std::unique_ptr<KernelState> state;
  int64_t scratch = 0;
  // Dynamic values nobody reads after this step.
  std::vector<ValueId> release;
  std::vector<std::unique_ptr<PlanCache>> bodies;
};

// Immutable after compile(); may be shared by any number of executions and threads.
class Plan {
 public:
  // `inputs` are the types of graph.inputs (state comes in among them). Concrete types give static
  // steps; others make what depends on them sized at run time. Throws BadInput where shapes do not
  // fit the model, Limit if the arena is larger than allowed.
  static std::shared_ptr<const Plan> compile(const Graph& graph, std::span<const Type> inputs,
                                             const PlanOptions& options = {});

  const Graph& graph() const { return graph_; }
  const PlanOptions& options() const { return options_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  // Index into buffers(), or -1 for values the plan does not use.
  int buffer_of(ValueId v) const { return buffer_of_[static_cast<size_t>(v)]; }
  // Steps from here on move state. Before, these values are checked, and what the steps would give
  // that are checked ahead.
  int commit_at() const { return commit_at_; }
  const std::vector<ValueId>& guards() const { return guards_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }
  // Outputs and state whose value has its buffer elsewhere: copied when all steps are done.
  struct Copy {
    ValueId from;
    int output = -1, state = -1;
  };
  const std::vector<Copy>& copies() const { return copies_; }
  // Values as an execution starts with them: constants whole, others with type only.
  const std::vector<RuntimeValue>& prototypes() const { return prototypes_; }
  bool has_dynamic_steps() const { return has_dynamic_; }

  // Steps, buffers and offsets as text.
  std::string to_string() const;

 private:
  friend class PlanCompiler;
  explicit Plan(Graph graph) : graph_(std::move(graph)) {}

  Graph graph_;
  PlanOptions options_;
  std::vector<Step> steps_;
  std::vector<Buffer> buffers_;
  std::vector<int> buffer_of_;
  std::vector<Copy> copies_;
  std::vector<RuntimeValue> prototypes_;
  int commit_at_ = 0;
  std::vector<ValueId> guards_;
  int64_t arena_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
  bool has_dynamic_ = false;
};

// The plan's node of a step.
inline const Node& node_of(const Plan& plan, const Step& step) {
  return plan.graph().nodes[static_cast<size_t>(step.node)];
}

// "float[2,3];int64[]": what plans are cached by.
std::string signature(std::span<const Type> types);

// Places buffers of kind Arena so that no two whose lives meet overlap; sets their offsets
// (multiples of 64) and returns the arena's size. Larger ones first, each at the lowest place that
// is free (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference",
// greedy by size). Thousands of buffers are placed one step after another instead, each in the
// smallest hole it fits.
int64_t place_buffers(std::vector<Buffer>& buffers);

}  // namespace onnxrun
