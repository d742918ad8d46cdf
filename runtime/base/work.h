// What a thread is at work for: who may end that work, and whose memory it takes. Parallel loops
// take it along to their threads, so that long kernels notice a limit without knowing of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace onnxrun {

// Counts the memory of tensors while it is there. Thread-safe; made by std::make_shared, as tensors
// may outlive the work that they are counted for.
class MemoryAccount : public std::enable_shared_from_this<MemoryAccount> {
 public:
  explicit MemoryAccount(int64_t limit) : limit_(limit) {}

  // Throws Limit, naming `what`, if `bytes` more than are in use would be too many.
  void take(int64_t bytes, std::string_view what);
  void give_back(int64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  int64_t used() const { return used_.load(std::memory_order_relaxed); }
  int64_t left() const { return limit_ - used(); }

 private:
  const int64_t limit_;
  std::atomic<int64_t> used_ = 0;
};

struct Work {
  // Throws what ends the work; called by many threads at once. None if null.
  void (*check)(const void* object) = nullptr;
  const void* object = nullptr;
  // That tensors are counted against while they live, whoever frees them; none if null.
  MemoryAccount* memory = nullptr;
  // Bytes that any one tensor may have.
  int64_t max_tensor = INT64_MAX;
};

// The calling thread's; null if it is at work for nobody.
const Work* current_work();

// Makes `work`, which must live as long, the calling thread's until the scope ends.
class WorkScope {
 public:
  explicit WorkScope(const Work* work);
  ~WorkScope();
  WorkScope(const WorkScope&) = delete;
  WorkScope& operator=(const WorkScope&) = delete;

 private:
  const Work* previous_;
};

// Throws Limit if a tensor of the calling thread's work may not have so many bytes.
void check_tensor_size(int64_t bytes);

// Bytes that tensors of the calling thread's work may still take.
int64_t memory_left();

// Throws if the calling thread's work is to end.
inline void check_work() {
  const Work* work = current_work();
  if (work && work->check) work->check(work->object);
}

// Counts `bytes` against the memory of the calling thread's work for as long as the result lives;
// null where nobody counts. Throws as MemoryAccount::take().
std::shared_ptr<void> take_memory(int64_t bytes, std::string_view what);

}  // namespace onnxrun
