// Makes the address sanitizer see inside an execution's memory, which is one allocation to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "onnxrun/value.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace onnxrun {

#ifdef __SANITIZE_ADDRESS__

// While one lives, a step may touch of the arena what its operands occupy, of the scratch memory
// what it asked for, both to the byte; all else of the two is an error.
class StepMemory {
 public:
  StepMemory(const Tensor& arena, const Tensor& scratch) : arena_(arena), scratch_(scratch) {}
  ~StepMemory() {
    open(arena_.raw(), arena_.bytes());
    open(scratch_.raw(), scratch_.bytes());
  }
  StepMemory(const StepMemory&) = delete;
  StepMemory& operator=(const StepMemory&) = delete;

  void enter(const std::vector<const RuntimeValue*>& inputs,
             const std::vector<RuntimeValue*>& outputs, int64_t scratch_bytes) {
    __asan_poison_memory_region(arena_.raw(), static_cast<size_t>(arena_.bytes()));
    __asan_poison_memory_region(scratch_.raw(), static_cast<size_t>(scratch_.bytes()));
    for (const RuntimeValue* v : inputs) open(v);
    for (const RuntimeValue* v : outputs) open(v);
    open(scratch_.raw(), scratch_bytes);
  }

  // Lets this value be read, too, until the next step begins.
  void open(const RuntimeValue* v) {
    if (!v || !v->is_tensor() || !v->tensor.defined()) return;
    const std::byte* data = v->tensor.raw();
    const std::byte* begin = arena_.raw();
    std::less<> before;
    if (before(data, begin) || !before(data, begin + arena_.bytes())) return;
    open(data, v->tensor.bytes());
  }

 private:
  static void open(const void* data, int64_t bytes) {
    __asan_unpoison_memory_region(data, static_cast<size_t>(bytes));
  }

  const Tensor& arena_;
  const Tensor& scratch_;
};

#else

class StepMemory {
 public:
  StepMemory(const Tensor&, const Tensor&) {}
  void enter(const std::vector<const RuntimeValue*>&, const std::vector<RuntimeValue*>&, int64_t) {}
  void open(const RuntimeValue*) {}
};

#endif

}  // namespace onnxrun
