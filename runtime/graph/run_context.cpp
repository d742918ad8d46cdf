#include "graph/run_context.h"

#include "base/error.h"

namespace onnxrun {

void RunControl::check_slowly() const {
  if (cancelled_.load(std::memory_order_relaxed))
    fail(ErrorKind::Cancelled, "the run was cancelled");
  if (deadline && std::chrono::steady_clock::now() > *deadline) {
    fail(ErrorKind::Timeout, "the run took longer than allowed");
  }
}

namespace {

// Counts a buffer against the run's memory limit for as long as it lives.
struct Charge {
  Charge(std::shared_ptr<std::atomic<int64_t>> total_bytes, int64_t charged, Tensor memory)
      : total(std::move(total_bytes)), bytes(charged), tensor(std::move(memory)) {}
  ~Charge() { total->fetch_sub(bytes, std::memory_order_relaxed); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  std::shared_ptr<std::atomic<int64_t>> total;
  int64_t bytes;
  Tensor tensor;
};

}  // namespace

Tensor RunControl::allocate(DType dtype, Dims dims) const {
  int64_t count = element_count(dims);
  int64_t bytes = dtype == DType::String ? (count > INT64_MAX / 32 ? INT64_MAX : count * 32)
                                         : bytes_of(dtype, count);
  int64_t live = live_bytes_->load(std::memory_order_relaxed);
  if (bytes > max_memory - live) {
    fail(ErrorKind::Limit, "{}{} needs {} bytes; {} are in use and {} allowed",
         onnxrun::to_string(dtype), onnxrun::to_string(dims), bytes, live, max_memory);
  }
  Tensor memory(dtype, dims);
  if (max_memory == INT64_MAX) return memory;
  live_bytes_->fetch_add(bytes, std::memory_order_relaxed);
  void* data = memory.raw();
  return Tensor::wrap(data, dtype, std::move(dims),
                      std::make_shared<Charge>(live_bytes_, bytes, std::move(memory)));
}

Tensor& RunContext::allocate(size_t i, DType dtype, Dims dims) const {
  *outputs_[i] = control_->allocate(dtype, std::move(dims));
  return outputs_[i]->tensor;
}

}  // namespace onnxrun
