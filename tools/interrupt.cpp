#include "interrupt.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string_view>

#include "base/error.h"
#include "exit_code.h"

namespace onnxrun::tool {

namespace {

// How long a cancelled computation may take to notice.
constexpr double grace_seconds = 5;

std::atomic<int> first_signal = 0;
std::atomic<void*> target = nullptr;
std::atomic<void (*)(void*)> cancel_target = nullptr;
std::atomic<int> held = 0;

void set_alarm(double seconds) {
  double whole = std::min(seconds, 1e9);
  itimerval timer = {};
  timer.it_value.tv_sec = static_cast<time_t>(whole);
  timer.it_value.tv_usec = std::max<suseconds_t>(
      1, static_cast<suseconds_t>((whole - static_cast<double>(timer.it_value.tv_sec)) * 1e6));
  setitimer(ITIMER_REAL, &timer, nullptr);
}

[[noreturn]] void end_process() {
  std::string_view text =
      timed_out() ? "onnxrun: error: the time limit was hit\n" : "onnxrun: error: interrupted\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  _exit(timed_out() ? exit_timeout : exit_interrupted);
}

// Only what is safe in a signal handler.
void on_signal(int signal) {
  int none = 0;
  bool first = first_signal.compare_exchange_strong(none, signal);
  if (held > 0) return;
  void (*cancel)(void*) = cancel_target;
  if (!first || !cancel) end_process();
  set_alarm(grace_seconds);
  cancel(target);
}

}  // namespace

void catch_interrupts(std::optional<double> timeout_seconds) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGINT, SIGTERM, SIGALRM}) sigaction(signal, &action, nullptr);
  if (timeout_seconds) set_alarm(*timeout_seconds);
}

bool timed_out() { return first_signal == SIGALRM; }

void check_interrupt() {
  if (first_signal == 0) return;
  if (timed_out()) fail(ErrorKind::Timeout, "the time limit was hit");
  fail(ErrorKind::Cancelled, "interrupted");
}

CancelScope::CancelScope(void* object, void (*cancel)(void*))
    : outer_target_(target), outer_cancel_(cancel_target) {
  cancel_target = nullptr;
  target = object;
  cancel_target = cancel;
  check_interrupt();
}

CancelScope::~CancelScope() {
  cancel_target = nullptr;
  target = outer_target_;
  cancel_target = outer_cancel_;
}

UninterruptedScope::UninterruptedScope() { ++held; }
UninterruptedScope::~UninterruptedScope() { --held; }

}  // namespace onnxrun::tool
