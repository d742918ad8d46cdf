#include "support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static std::atomic<int64_t> count, total;

static void* counted(void* p, size_t bytes) {
  count.fetch_add(1, std::memory_order_relaxed);
  total.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  if (!p) throw std::bad_alloc();
  return p;
}

void* operator new(size_t bytes) { return counted(std::malloc(bytes == 0 ? 1 : bytes), bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  auto a = static_cast<size_t>(alignment);
  return counted(std::aligned_alloc(a, (bytes + a) / a * a), bytes);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace onnxrun {
bool counts_allocations() { return true; }
int64_t allocations() { return count.load(); }
int64_t allocated_bytes() { return total.load(); }
}  // namespace onnxrun

#else

namespace onnxrun {
bool counts_allocations() { return false; }
int64_t allocations() { return 0; }
int64_t allocated_bytes() { return 0; }
}  // namespace onnxrun

#endif
