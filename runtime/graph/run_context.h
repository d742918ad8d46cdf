// What a kernel sees of a node when it is prepared and run.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "graph/op.h"
#include "graph/packed_constants.h"
#include "graph/type.h"
#include "onnxrun/products.h"
#include "onnxrun/value.h"

namespace onnxrun {

// Limits of one run, checked between nodes and loop iterations. cancel() may be called from any
// thread; it ends the run in progress, or the next one where there is none, which throws Cancelled.
class RunControl {
 public:
  int64_t max_loop_iterations = 100'000'000;
  int64_t max_memory = INT64_MAX;  // bytes of buffers that are sized while running

  // The work may take so long from now on.
  void limit_time(double seconds);
  // The same for a run: a time that is long beside a few small nodes begins when check() is called
  // for the first time, so that a run of no more than these never looks at a clock.
  void limit_run_time(double seconds);
  bool has_time_limit() const { return time_limit_.has_value(); }

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  // A tensor counted against max_memory while it lives. Throws Limit.
  Tensor allocate(DType dtype, Dims dims) const;
  // A sequence whose list of elements is counted while it lives. Throws Limit.
  RuntimeValue sequence(RuntimeValue::Items elements) const;
  // Throws Limit if `count` things of `bytes` bytes more than are in use would be too many.
  void require(int64_t count, int64_t bytes, std::string_view what) const;
  // Bytes of strings that do not fit their elements; 0 for other tensors.
  static int64_t text_bytes(const Tensor& strings);
  // The same strings, these bytes counted while they live. Throws Limit.
  Tensor count_text(Tensor strings) const;

  // Throws Cancelled, once for a cancel(), or Timeout.
  void check() const {
    if (cancelled_.load(std::memory_order_relaxed) || time_limit_) check_slowly();
  }
  // As check(), but does not begin the time of a run.
  void check_begun() const {
    if (cancelled_.load(std::memory_order_relaxed) || (time_limit_ && deadline())) check_slowly();
  }

 private:
  using Clock = std::chrono::steady_clock;
  void check_slowly() const;
  void begin_time() const;
  // In ticks of the clock; 0 before it has begun.
  Clock::rep deadline() const { return deadline_.load(std::memory_order_relaxed); }

  std::shared_ptr<void> charge(int64_t bytes, std::shared_ptr<void> memory) const;
  mutable std::atomic<bool> cancelled_ = false;
  std::optional<double> time_limit_;
  mutable std::atomic<Clock::rep> deadline_ = 0;
  std::shared_ptr<std::atomic<int64_t>> live_bytes_ = std::make_shared<std::atomic<int64_t>>(0);
};

// True if the outputs that are there, one at least, are tensors without elements. Loops over the
// axes around an empty one could take for ever.
bool writes_nothing(std::span<RuntimeValue* const> outputs);

// Runs the subgraphs of a node; implemented by the executor.
class BodyRunner {
 public:
  virtual ~BodyRunner() = default;
  // `formal` are the body's formal inputs: tensors stay with the caller, containers are handed over
  // so that the body may change them. Captured values come from the node. `results` become the
  // body's outputs; a tensor there that nobody else holds may serve as memory for them. `last` says
  // that no body of this node runs after this one.
  virtual void run(size_t body, std::span<RuntimeValue> formal, std::vector<RuntimeValue>& results,
                   bool last = false) = 0;
  // What is known of a body's output before any run.
  virtual Type output_type(size_t body, size_t output) const = 0;
};

// For Op::prepare: types of inputs and outputs are concrete.
class PrepareContext {
 public:
  // `constant` says of each input whether its elements are the same in every run.
  PrepareContext(std::span<const RuntimeValue* const> inputs,
                 std::span<RuntimeValue* const> outputs, std::span<const char> constant,
                 Products products = Products::Own,
                 std::shared_ptr<PackedConstants> packed = nullptr)
      : inputs_(inputs),
        outputs_(outputs),
        constant_(constant),
        products_(products),
        packed_(std::move(packed)) {}

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
  // What `make` lays out of the elements of constant input i: once for all plans of a model that
  // ask for the same `layout` (PackedConstants::get).
  Tensor packed(size_t i, const std::string& layout, const std::function<Tensor()>& make) const {
    return packed_ ? packed_->get(input(i), layout, make) : make();
  }
  // Null where nothing is shared.
  const std::shared_ptr<PackedConstants>& packed_constants() const { return packed_; }
  // The kernels that products are to be computed by.
  Products products() const { return products_; }
  // Bytes of scratch memory, 64-byte aligned, that run() will find in RunContext::scratch().
  void request_scratch(int64_t bytes) { scratch_ = bytes; }
  int64_t scratch() const { return scratch_; }

 private:
  std::span<const RuntimeValue* const> inputs_;
  std::span<RuntimeValue* const> outputs_;
  std::span<const char> constant_;
  Products products_;
  std::shared_ptr<PackedConstants> packed_;
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
  // Of each input, whether this is the last that is read of a value the executor may give away.
  void set_last_uses(std::span<const char> last_uses) { last_uses_ = last_uses; }

  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  bool has_output(size_t i) const { return i < outputs_.size() && outputs_[i]; }

  const Tensor& input(size_t i) const { return inputs_[i]->tensor; }
  Tensor& output(size_t i) const { return outputs_[i]->tensor; }
  // Values that may be sequences, optionals or maps.
  const RuntimeValue& value(size_t i) const { return *inputs_[i]; }
  // The elements of a sequence.
  const RuntimeValue::Items& items(size_t i) const { return inputs_[i]->elements(); }
  // The value to keep or change: handed over, and gone afterwards, where nobody reads it later.
  RuntimeValue take(size_t i) const {
    if (i < last_uses_.size() && last_uses_[i])
      return std::move(const_cast<RuntimeValue&>(*inputs_[i]));  // NOLINT: the executor's own
    return *inputs_[i];
  }
  void set_value(size_t i, RuntimeValue v) const { *outputs_[i] = std::move(v); }

  // Makes output i a new tensor; for outputs whose shape inference could not know. Throws Limit.
  Tensor& allocate(size_t i, DType dtype, Dims dims) const;

  // Whether prepare() was called: not where a length of an output is known after the run only.
  bool is_prepared() const { return state_ != nullptr; }
  // What prepare() returned.
  template <typename T>
  const T& state() const {
    if (!state_) [[unlikely]]
      fail_state();
    return static_cast<const T&>(*state_);
  }
  std::byte* scratch() const { return scratch_; }

  BodyRunner& bodies() const { return *bodies_; }
  const RunControl& control() const { return *control_; }

 private:
  // Inference left a shape open that the kernel needed.
  [[noreturn, gnu::cold]] static void fail_state();

  std::span<const RuntimeValue* const> inputs_;
  std::span<RuntimeValue* const> outputs_;
  std::span<const char> last_uses_;
  const KernelState* state_ = nullptr;
  std::byte* scratch_ = nullptr;
  BodyRunner* bodies_ = nullptr;
  const RunControl* control_ = nullptr;
};

}  // namespace onnxrun
