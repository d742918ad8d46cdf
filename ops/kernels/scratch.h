// Working memory of a kernel call, kept by the thread for its next call.
#pragma once

#include <cstddef>
#include <memory>

namespace onnxrun {

// At least `bytes` bytes, aligned to 64, for the lifetime of the object. Scratches of one thread
// are destroyed in reverse order of creation (as local variables are), also when a kernel runs
// inside another one. The memory may be handed to other threads meanwhile. Where it is large it
// counts against the memory of the thread's work (base/work.h), so that the constructor may throw.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  std::shared_ptr<void> taken_;
};

}  // namespace onnxrun
