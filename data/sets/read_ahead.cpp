#include "sets/read_ahead.h"

#include <algorithm>
#include <utility>

namespace onnxrun {

ReadAhead::ReadAhead(int64_t slots) : slots_(static_cast<size_t>(std::max<int64_t>(slots, 2))) {
  thread_ = std::thread([this] { loop(); });
}

ReadAhead::~ReadAhead() {
  {
    std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::start(int64_t first, int64_t count, Fill fill) {
  std::unique_lock lock(mutex_);
  count_ = 0;  // nothing more is begun
  changed_.wait(lock, [this] { return !busy_; });
  fill_ = std::move(fill);
  error_ = nullptr;
  used_ = next_ = expected_ = first;
  count_ = count;
  changed_.notify_all();
}

bool ReadAhead::is_low() const { return next_ - used_ <= static_cast<int64_t>(slots_.size()) / 2; }

std::span<const Tensor> ReadAhead::take(int64_t k) {
  std::unique_lock lock(mutex_);
  used_ = k;
  expected_ = k + 1;
  if (is_low()) changed_.notify_all();
  changed_.wait(lock, [&] { return next_ > k || error_; });
  if (next_ <= k) {
    expected_ = -1;
    std::rethrow_exception(error_);
  }
  return slots_[static_cast<size_t>(k) % slots_.size()];
}

void ReadAhead::loop() {
  std::unique_lock lock(mutex_);
  const auto slots = static_cast<int64_t>(slots_.size());
  while (true) {
    // Many at a time: threads that wake each other for every batch get in each other's way.
    bool full = next_ - used_ >= slots;
    changed_.wait(lock, [&] {
      bool wanted = full ? is_low() : next_ - used_ < slots;
      return stops_ || (wanted && next_ < count_ && !error_);
    });
    if (stops_) return;
    const int64_t k = next_;
    std::exception_ptr failed;
    busy_ = true;
    lock.unlock();
    try {
      fill_(k, slots_[static_cast<size_t>(k) % slots_.size()]);
    } catch (...) {
      failed = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    error_ = failed;
    if (!failed) ++next_;
    changed_.notify_all();
  }
}

}  // namespace onnxrun
