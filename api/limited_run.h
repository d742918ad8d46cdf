// The limits that options set to one run.
#pragma once

#include <optional>

#include "graph/run_scope.h"

namespace onnxrun {

// Until it ends the calling thread runs under `control`, and may do so for `seconds`.
class LimitedRun {
 public:
  LimitedRun(RunControl& control, const std::optional<double>& seconds, int64_t max_tensor)
      : scope_(control, max_tensor) {
    if (seconds) control.limit_run_time(*seconds);
  }

 private:
  RunScope scope_;
};

}  // namespace onnxrun
