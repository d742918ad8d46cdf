// One run, from the outermost execution to the bodies and loops inside it.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/work.h"
#include "graph/run_context.h"

namespace onnxrun {

// Makes a run with `control` the calling thread's work until the scope ends: its end is noticed
// inside kernels, too. Within a run of the same control, as bodies are, it is that run.
class RunScope {
 public:
  // Any one tensor may have `max_tensor` bytes.
  explicit RunScope(const RunControl& control, int64_t max_tensor = INT64_MAX);
  ~RunScope();
  RunScope(const RunScope&) = delete;
  // Whether the calling thread is at such a run.
  static bool covers(const RunControl& control) {
    return current() && &current()->control_ == &control;
  }
  RunScope& operator=(const RunScope&) = delete;

 private:
  friend class LoopCount;
  static RunScope*& current();

  Work work_;
  RunScope* outer_;
  WorkScope scope_;
  const RunControl& control_;
  int64_t iterations_ = 0;
  std::chrono::steady_clock::time_point start_;
};

// Counts the iterations of one loop, and those of all loops of the run together.
class LoopCount {
 public:
  // A loop without an end of its own has a trip count above this number of iterations, or none: it
  // may take no longer than `endless_seconds` unless the run has a deadline.
  LoopCount(const RunControl& control, int64_t trips);

  // Before each iteration. Throws Limit, and what ends the run.
  void next();

  static constexpr double endless_seconds = 45;

 private:
  void check_time() const;

  const RunControl& control_;
  RunScope* run_;
  int64_t own_ = 0;  // where there is no run around
  int64_t* iterations_;
  bool endless_;
};

}  // namespace onnxrun
