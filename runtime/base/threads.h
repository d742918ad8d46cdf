// Parallel loops whose results do not depend on the number of threads.
#pragma once

#include <cstdint>

namespace onnxrun {

// A non-owning reference to a callable (begin, end); lives as long as the call it is passed to.
class RangeFunction {
 public:
  template <typename F>
  RangeFunction(const F& f)  // NOLINT: callables convert
      : object_(&f),
        call_([](const void* o, int64_t b, int64_t e) { (*static_cast<const F*>(o))(b, e); }) {}
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int64_t);
};

// Processors this process may use: its affinity mask, limited by the cgroup's CPU quota; at
// least 1.
int available_threads();

// Sets how many threads parallel_for may use in the calling thread until the scope ends; 0 means
// available_threads(). One thread never leaves the caller's thread and wakes nobody.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int previous_;
};

// Calls f(begin, end) on consecutive pieces that cover [0, n). Every piece but the last has exactly
// `grain` elements (grain >= 1), whatever the number of threads; pieces run in any order and at the
// same time. So a result that depends only on the pieces is the same on any number of threads.
// An exception from f is rethrown here after all started pieces have ended. Between pieces it is
// looked whether the work is to end (base/work.h).
void parallel_for(int64_t n, int64_t grain, RangeFunction f);

}  // namespace onnxrun
