// Work in processes of its own: a crash, a hang or a limit ends one piece of it alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace onnxrun::tool {

struct CaseResult {
  enum class Status { Passed, Failed, Skipped };

  std::string name;
  Status status = Status::Failed;
  double seconds = 0;
  std::string message;
};

struct CaseLimits {
  int jobs = 1;
  double seconds = 60;  // of one case
  int64_t memory = 0;   // bytes of address space of one case; 0: no limit
};

// Calls run(k), k < count, in a child process each, at most `jobs` of them at a time, and returns
// its results (status and message) in order of k; seconds are measured here. `done` is called in
// the order in which they end. Must be called before this process starts threads. Throws Cancelled
// after an interrupt; no child outlives the call.
std::vector<CaseResult> run_cases(size_t count, const CaseLimits& limits,
                                  const std::function<CaseResult(size_t)>& run,
                                  const std::function<void(size_t, const CaseResult&)>& done);

}  // namespace onnxrun::tool
