// Running a model.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "onnxrun/model.h"
#include "onnxrun/products.h"

namespace onnxrun {

struct SessionOptions {
  // Threads that one run may use; 0 is what the machine, the affinity mask and the cgroup allow.
  // One thread runs in the caller's and wakes nobody. Results are the same to the bit for any
  // number.
  int threads = 1;
  // OpenBLAS's keep what is said of threads, but not what is said of batches.
  Products products = Products::Own;
  // False runs every node as the file has it.
  bool optimize = true;
  // Values to compute: any of the graph's, inner ones included; the model's outputs if empty.
  std::vector<std::string> outputs = {};
  // What goes beyond a limit is an Error of kind Limit.
  // Bytes of the tensors that are made of the model's weights once, of a plan's buffers, and of
  // what a run sizes while it runs, together.
  int64_t max_memory = default_max_memory();
  // Bytes that any one tensor may have.
  int64_t max_tensor_bytes = INT64_MAX;
  // Of all loops of a run together. A loop without a trip count, or with one above this number, is
  // moreover an error after 45 seconds, unless there is a time limit.
  int64_t max_loop_iterations = 20'000'000;
  // Wall time of one run, checked inside long operators, too; then it throws Timeout. The
  // session's own making may take as long.
  std::optional<double> timeout_seconds = {};
};

using NamedValues = std::vector<std::pair<std::string, RuntimeValue>>;

// Runs one model again and again. Plans are compiled as shapes are met and kept. run() with inputs
// may be called by many threads at once, of any shapes: each has memory of its own to run on, and
// all share the plans. Everything else, cancel() excepted, is for one thread at a time. Several
// sessions of one model share its weights.
class Session {
 public:
  // Throws BadInput for an output that the graph does not have.
  explicit Session(const Model& model, SessionOptions options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Names of the inputs that run() needs, in the model's order: those that the outputs depend on.
  std::vector<std::string> input_names() const;
  // Names of the computed outputs, in order.
  const std::vector<std::string>& output_names() const;

  // One run. Throws BadInput for a missing or unknown input, or a type or shape that does not fit;
  // Limit, Timeout and Cancelled. Outputs own their memory, unless they are bound. Initializers
  // that the model lists as inputs, too, may be given.
  NamedValues run(const NamedValues& inputs);

  // Runs without copies, of one thread: bound inputs are read from, and bound outputs written to
  // the caller's memory, again in every run until they are bound anew. Inputs must all be bound
  // before the first run() and outputs after the inputs (their shapes follow from them); one that
  // is not bound owns its memory. Binding throws BadInput for a name, type or shape that does not
  // fit.
  void bind_input(const std::string& name, Tensor tensor);
  void bind_output(const std::string& name, Tensor memory);
  void run();
  // An output of the last run; throws Usage if there was none since inputs of other shapes were
  // bound. Valid until the next run.
  const RuntimeValue& output(const std::string& name) const;

  // Ends the runs in progress, or the next one if there is none, from any thread; they throw
  // Cancelled.
  void cancel();

  // Called after every node of the main graph, in the thread of run(). What the record points at
  // lives as long as the call.
  struct NodeRecord {
    std::string_view op, name;
    std::vector<std::string> input_names, output_names;  // "" where there is none
    // Null where there is none. Of inputs only the types can be relied on: the node may have been
    // written over them.
    std::vector<const RuntimeValue*> inputs, outputs;
    double seconds = 0;
  };
  void observe(std::function<void(const NodeRecord&)> observer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace onnxrun
