// Ctrl-C and the time limit.
#pragma once

#include <optional>

namespace onnxrun::tool {

// From now on SIGINT and SIGTERM, and SIGALRM after the given time, cancel what a CancelScope
// names, or end the process at once where there is none. A second signal always ends it, as does a
// cancelled computation that goes on for seconds.
void catch_interrupts(std::optional<double> timeout_seconds);

// Throws Cancelled or Timeout if a signal has come.
void check_interrupt();
// True if the time limit was what ended the work.
bool timed_out();

// While it lives, a signal calls target.cancel(), which must only set atomics. Scopes nest.
class CancelScope {
 public:
  template <typename T>
  explicit CancelScope(T& target)
      : CancelScope(&target, [](void* t) { static_cast<T*>(t)->cancel(); }) {}
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  CancelScope(void* target, void (*cancel)(void*));

  void* outer_target_;
  void (*outer_cancel_)(void*);
};

// While it lives, signals wait: for files that must appear together. Throws nothing at its end;
// call check_interrupt() then.
class UninterruptedScope {
 public:
  UninterruptedScope();
  ~UninterruptedScope();
  UninterruptedScope(const UninterruptedScope&) = delete;
  UninterruptedScope& operator=(const UninterruptedScope&) = delete;
};

}  // namespace onnxrun::tool
