// Batches that are read while others are used.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "tensor/tensor.h"

namespace onnxrun {

// A thread that fills buffers in the order in which they will be taken, a few ahead.
class ReadAhead {
 public:
  // What makes batch `k`; called in the thread.
  using Fill = std::function<void(int64_t k, std::vector<Tensor>& tensors)>;

  // `slots` batches, at least two, have memory at a time.
  explicit ReadAhead(int64_t slots);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Forgets what was read and begins with batch `first` of `count`. Waits for a batch that is being
  // filled.
  void start(int64_t first, int64_t count, Fill fill);
  // Batch `k`, that was begun with or is the one after the last one taken; valid until the next
  // call. Throws what filling it threw.
  std::span<const Tensor> take(int64_t k);
  // The batch that take() may be asked for.
  int64_t expected() const { return expected_; }

 private:
  void loop();
  bool is_low() const;

  std::vector<std::vector<Tensor>> slots_;  // batch k is in slot k % slots
  std::mutex mutex_;
  std::condition_variable changed_;
  Fill fill_;
  // Batches [used_, next_) are there; those from used_ on keep their slots.
  int64_t used_ = 0, next_ = 0, count_ = 0, expected_ = -1;
  bool busy_ = false, stops_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace onnxrun
