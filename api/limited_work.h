// The limits that options set to one piece of work.
#pragma once

#include <chrono>
#include <optional>

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
    if (seconds) {
      control.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(*seconds));
    }
    return control;
  }

  RunScope scope_;
};

}  // namespace onnxrun
