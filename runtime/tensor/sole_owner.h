// Whether memory may be written again.
#pragma once

#include <atomic>
#include <memory>

namespace onnxrun {

// Whether there is no other owner left. What the others did with the memory, in whichever thread,
// has happened before then; use_count() alone does not say so.
template <typename T>
bool is_sole_owner(const std::shared_ptr<T>& owner) {
  if (owner.use_count() != 1) return false;
#ifdef __SANITIZE_THREAD__
  // It knows no fences; giving a second handle back acquires the same.
  std::shared_ptr<T>(owner).reset();
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
  return true;
}

}  // namespace onnxrun
