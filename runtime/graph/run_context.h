// What a kernel sees of a node when it is prepared and run.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "graph/op.h"
#include "graph/type.h"
#include "tensor/runtime_value.h"

namespace onnxrun {

// Limits of one run, checked between nodes and loop iterations. cancel() may be called from any
// thread.
class RunControl {
 public:
  int64_t max_loop_iterations = 100'000'000;
  int64_t max_memory = INT64_MAX;  // bytes of buffers that are sized while running
  std::optional<std::chrono::steady_clock::time_point> deadline;

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  // A tensor counted against max_memory while it lives. Throws Limit.
  Tensor allocate(DType dtype, Dims dims) const;

  void reset() { cancelled_.store(false, std::memory_order_relaxed); }
  // Throws Cancelled or Timeout.
  void check() const {
    if (cancelled_.load(std::memory_order_relaxed) || deadline) check_slowly();
  }

 private:
  void check_slowly() const;
  std::atomic<bool> cancelled_ = false;
  std::shared_ptr<std::atomic<int64_t>> live_bytes_ = std::make_shared<std::atomic<int64_t>>(0);
};

// Runs the subgraphs of a node; implemented by the executor.
class BodyRunner {
 public:
  virtual ~BodyRunner() = default;
  // `formal` are the body's formal inputs; captured values come from the node. Returns its outputs.
  virtual std::vector<RuntimeValue> run(size_t body, std::span<const RuntimeValue> formal) = 0;
  // What is known of a body's output before any run.
  virtual Type output_type(size_t body, size_t output) const = 0;
};

// For Op::prepare: types of inputs and outputs are concrete.
class PrepareContext {
 public:
  // `constant` says of each input whether its elements are the same in every run.
  PrepareContext(std::span<const RuntimeValue* const> inputs,
                 std::span<RuntimeValue* const> outputs, std::span<const char> constant)
      : inputs_(inputs), outputs_(outputs), constant_(constant) {}

  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  bool has_output(size_t i) const { return i < outputs_.size() && outputs_[i]; }
  // dims() and dtype() of a tensor input or output; its elements are not there yet.
  const Tensor& input(size_t i) const { return inputs_[i]->tensor; }
  const Tensor& output(size_t i) const { return outputs_[i]->tensor; }
  // The input with its elements if they are the same in every run, else null.
  const Tensor* constant(size_t i) const {
    return has_input(i) && i < constant_.size() && constant_[i] ? &inputs_[i]->tensor : nullptr;
  }
  // Bytes of scratch memory, 64-byte aligned, that run() will find in RunContext::scratch().
  void request_scratch(int64_t bytes) { scratch_ = bytes; }
  int64_t scratch() const { return scratch_; }

 private:
  std::span<const RuntimeValue* const> inputs_;
  std::span<RuntimeValue* const> outputs_;
  std::span<const char> constant_;
  int64_t scratch_ = 0;
};

// For Op::run. Cheap to read: executors keep one a step and reuse it. Methods that take an index
// require has_input(i) or has_output(i).
class RunContext {
 public:
  RunContext() = default;
  // Everything must outlive the context; null inputs and outputs are those that are not there.
  RunContext(std::span<const RuntimeValue* const> inputs, std::span<RuntimeValue* const> outputs,
             const KernelState* state, std::byte* scratch, BodyRunner* bodies,
             const RunControl* control)
      : inputs_(inputs),
        outputs_(outputs),
        state_(state),
        scratch_(scratch),
        bodies_(bodies),
        control_(control) {}
  void set_control(const RunControl* control) { control_ = control; }

  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  bool has_output(size_t i) const { return i < outputs_.size() && outputs_[i]; }

  const Tensor& input(size_t i) const { return inputs_[i]->tensor; }
  Tensor& output(size_t i) const { return outputs_[i]->tensor; }
  // Values that may be sequences, optionals or maps.
  const RuntimeValue& value(size_t i) const { return *inputs_[i]; }
  void set_value(size_t i, RuntimeValue v) const { *outputs_[i] = std::move(v); }

  // Makes output i a new tensor; for outputs whose shape inference could not know. Throws Limit.
  Tensor& allocate(size_t i, DType dtype, Dims dims) const;

  // What prepare() returned.
  template <typename T>
  const T& state() const {
    return static_cast<const T&>(*state_);
  }
  std::byte* scratch() const { return scratch_; }

  BodyRunner& bodies() const { return *bodies_; }
  const RunControl& control() const { return *control_; }

 private:
  std::span<const RuntimeValue* const> inputs_;
  std::span<RuntimeValue* const> outputs_;
  const KernelState* state_ = nullptr;
  std::byte* scratch_ = nullptr;
  BodyRunner* bodies_ = nullptr;
  const RunControl* control_ = nullptr;
};

}  // namespace onnxrun
