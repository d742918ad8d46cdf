// Working memory of a kernel, divided by the same lines that later use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/error.h"

namespace onnxrun {

// Hands out arrays, each aligned to 64 bytes, one behind the other. Without memory it only counts:
// Op::prepare() runs the division once to know bytes(), Op::run() again on the memory it got.
class ScratchLayout {
 public:
  ScratchLayout() = default;
  // `memory` may be null where bytes() came to nothing.
  explicit ScratchLayout(std::byte* memory) : memory_(memory), only_counts_(false) {}

  bool only_counts() const { return only_counts_; }
  int64_t bytes() const { return bytes_; }

  // An array of the product of `lengths` elements; null when only counting. Throws Limit if the
  // size overflows.
  template <typename T>
  T* take(std::initializer_list<int64_t> lengths) {
    int64_t size = sizeof(T);
    bool overflows = false;
    for (int64_t n : lengths) overflows |= __builtin_mul_overflow(size, n, &size);
    overflows |= __builtin_add_overflow(size, 63, &size);
    size &= ~int64_t{63};
    std::byte* at = memory_ ? memory_ + bytes_ : nullptr;
    overflows |= __builtin_add_overflow(bytes_, size, &bytes_);
    if (overflows) fail(ErrorKind::Limit, "the working memory's size overflows");
    return reinterpret_cast<T*>(at);
  }
  // The same if `wanted`, else null and no memory.
  template <typename T>
  T* take_if(bool wanted, std::initializer_list<int64_t> lengths) {
    return wanted ? take<T>(lengths) : nullptr;
  }

 private:
  std::byte* memory_ = nullptr;
  bool only_counts_ = true;
  int64_t bytes_ = 0;
};

}  // namespace onnxrun
