// The limits that options set to one piece of work.
#pragma once

#include <chrono>
#include <optional>

#include "base/coarse_clock.h"
#include "graph/run_scope.h"

namespace onnxrun {

// Until it ends the calling thread works under `control`, whose deadline begins now.
class LimitedWork {
 public:
  LimitedWork(RunControl& control, const std::optional<double>& seconds, int64_t max_tensor)
      : scope_(with_deadline(control, seconds), max_tensor) {}

 private:
  static RunControl& with_deadline(RunControl& control, const std::optional<double>& seconds) {
    using Clock = std::chrono::steady_clock;
    // A tick more or less counts where it is a hundredth of the time.
    constexpr double long_time = 1.0;
    if (seconds) {
      const Clock::time_point now = *seconds < long_time ? Clock::now() : coarse_now() + coarse_lag;
      control.deadline = now + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(*seconds));
    }
    return control;
  }

  RunScope scope_;
};

}  // namespace onnxrun
