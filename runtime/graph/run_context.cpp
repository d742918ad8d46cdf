#include "graph/run_context.h"

#include <algorithm>

#include "base/coarse_clock.h"
#include "base/error.h"
#include "base/work.h"

namespace onnxrun {

// Nobody waits longer, and the clock could not count it.
static constexpr double longest_time = 1e9;
// A tick of the coarse clock more or less is a hundredth of it.
static constexpr double long_time = 1.0;
// What a run does before it calls check() is a hundredth of it.
static constexpr double long_beside_nodes = 0.01;

void RunControl::limit_time(double seconds) {
  time_limit_ = std::min(seconds, longest_time);
  begin_time();
}

void RunControl::limit_run_time(double seconds) {
  if (seconds < long_beside_nodes) return limit_time(seconds);
  time_limit_ = std::min(seconds, longest_time);
  deadline_.store(0, std::memory_order_relaxed);
}

void RunControl::begin_time() const {
  Clock::time_point now = *time_limit_ < long_time ? Clock::now() : coarse_now() + coarse_lag;
  now += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*time_limit_));
  deadline_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

void RunControl::check_slowly() const {
  if (cancelled_.exchange(false, std::memory_order_relaxed))
    fail(ErrorKind::Cancelled, "the run was cancelled");
  if (!time_limit_) return;
  if (!deadline()) return begin_time();
  const Clock::time_point end{Clock::duration(deadline())};
  if (coarse_now() + coarse_lag >= end && Clock::now() > end) {
    fail(ErrorKind::Timeout, "the run took longer than allowed");
  }
}

namespace {

// What a value takes beside its elements: the handle, its lengths, two control blocks.
constexpr int64_t handle_bytes = 128;

int64_t saturated_product(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

// Counts memory for as long as it is there.
struct Charge {
  // `beside` are those of the bytes that are not a tensor's own.
  Charge(std::shared_ptr<std::atomic<int64_t>> total_bytes, int64_t charged, int64_t beside,
         std::shared_ptr<void> memory)
      : total(std::move(total_bytes)),
        bytes(charged),
        taken(take_memory(beside, "a value")),
        held(std::move(memory)) {
    total->fetch_add(bytes, std::memory_order_relaxed);
  }
  ~Charge() { total->fetch_sub(bytes, std::memory_order_relaxed); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  std::shared_ptr<std::atomic<int64_t>> total;
  int64_t bytes;
  std::shared_ptr<void> taken, held;
};

}  // namespace

void RunControl::require(int64_t count, int64_t bytes, std::string_view what) const {
  int64_t live = live_bytes_->load(std::memory_order_relaxed);
  int64_t needed = saturated_product(count, bytes);
  if (needed > max_memory - live) {
    fail(ErrorKind::Limit, "{} needs {} bytes; {} are in use and {} allowed", what, needed, live,
         max_memory);
  }
  if (needed > memory_left()) {
    fail(ErrorKind::Limit, "{} needs {} bytes, {} are left", what, needed, memory_left());
  }
}

std::shared_ptr<void> RunControl::charge(int64_t bytes, std::shared_ptr<void> memory) const {
  return std::make_shared<Charge>(live_bytes_, bytes, bytes, std::move(memory));
}

Tensor RunControl::allocate(DType dtype, Dims dims) const {
  int64_t count = element_count(dims);
  int64_t bytes = dtype == DType::String ? saturated_product(count, sizeof(std::string))
                                         : bytes_of(dtype, count);
  int64_t live = live_bytes_->load(std::memory_order_relaxed);
  if (bytes > max_memory - live) {
    fail(ErrorKind::Limit, "{}{} needs {} bytes; {} are in use and {} allowed",
         onnxrun::to_string(dtype), onnxrun::to_string(dims), bytes, live, max_memory);
  }
  Tensor memory(dtype, std::move(dims));
  if (max_memory == INT64_MAX) return memory;
  memory.rebind(memory.raw(), std::make_shared<Charge>(live_bytes_, bytes + handle_bytes,
                                                       handle_bytes, memory.owner()));
  return memory;
}

RuntimeValue RunControl::sequence(RuntimeValue::Items elements) const {
  auto bytes = static_cast<int64_t>(elements.capacity() * sizeof(RuntimeValue));
  require(1, bytes, "a sequence");
  if (max_memory == INT64_MAX) return RuntimeValue::sequence(std::move(elements));
  struct Counted {
    RuntimeValue::Items items;
    std::shared_ptr<void> charge;
  };
  auto list = std::make_shared<Counted>(Counted{std::move(elements), charge(bytes, nullptr)});
  RuntimeValue value;
  value.kind = RuntimeValue::Kind::Sequence;
  value.items = std::shared_ptr<const RuntimeValue::Items>(list, &list->items);
  return value;
}

int64_t RunControl::text_bytes(const Tensor& strings) {
  if (strings.dtype() != DType::String) return 0;
  static const size_t inside = std::string().capacity();
  int64_t bytes = 0;
  for (const std::string& s : strings.span<std::string>()) {
    if (s.capacity() > inside) bytes += static_cast<int64_t>(s.capacity());
  }
  return bytes;
}

Tensor RunControl::count_text(Tensor strings) const {
  if (max_memory == INT64_MAX) return strings;
  int64_t bytes = text_bytes(strings);
  if (bytes == 0) return strings;
  require(1, bytes, "the text of " + strings.type_text());
  strings.rebind(strings.raw(), charge(bytes, strings.owner()));
  return strings;
}

bool writes_nothing(std::span<RuntimeValue* const> outputs) {
  bool any = false;
  for (const RuntimeValue* v : outputs) {
    if (!v) continue;
    if (!v->is_tensor() || !v->tensor.defined() || v->tensor.size() > 0) return false;
    any = true;
  }
  return any;
}

void RunContext::fail_state() {
  fail(ErrorKind::Internal, "the kernel runs without having been prepared");
}

Tensor& RunContext::allocate(size_t i, DType dtype, Dims dims) const {
  *outputs_[i] = control_->allocate(dtype, std::move(dims));
  return outputs_[i]->tensor;
}

}  // namespace onnxrun
