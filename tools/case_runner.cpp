#include "case_runner.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/seconds.h"
#include "interrupt.h"

namespace onnxrun::tool {

namespace {

// More than this a child has no reason to say.
constexpr size_t max_message = 1 << 16;

struct Child {
  size_t index;
  pid_t pid;
  int pipe;
  double started;
  std::string said;
  bool timed_out = false;
};

void limit_address_space(int64_t bytes) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (bytes <= 0) return;
  rlimit limit = {static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
  setrlimit(RLIMIT_AS, &limit);
#else
  static_cast<void>(bytes);
#endif
}

CaseResult guarded(const std::function<CaseResult(size_t)>& run, size_t index) {
  CaseResult result;
  try {
    return run(index);
  } catch (const std::bad_alloc&) {
    result.message = "there is not enough memory";
  } catch (const std::exception& e) {
    result.message = e.what();
  }
  return result;
}

// The child's side: a digit for the status, then the message.
[[noreturn]] void be_child(int pipe, size_t index, const CaseLimits& limits,
                           const std::function<CaseResult(size_t)>& run) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int signal : {SIGINT, SIGTERM, SIGALRM}) ::signal(signal, SIG_DFL);
  limit_address_space(limits.memory);
  CaseResult result = guarded(run, index);
  std::string text = std::to_string(static_cast<int>(result.status)) + result.message;
  text.resize(std::min(text.size(), max_message));
  for (size_t at = 0; at < text.size();) {
    ssize_t n = write(pipe, text.data() + at, text.size() - at);
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  _exit(0);
}

Child start(size_t index, const CaseLimits& limits, const std::function<CaseResult(size_t)>& run) {
  int ends[2];
  if (pipe(ends) != 0) fail(ErrorKind::Internal, "no pipe: {}", std::strerror(errno));
  std::fflush(nullptr);
  pid_t pid = fork();
  if (pid < 0) fail(ErrorKind::Limit, "no process can be started: {}", std::strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    be_child(ends[1], index, limits, run);
  }
  close(ends[1]);
  return {index, pid, ends[0], seconds_now(), {}, false};
}

CaseResult result_of(const Child& child, int status, const CaseLimits& limits) {
  CaseResult result;
  result.seconds = seconds_now() - child.started;
  if (child.timed_out) {
    result.message = fmt::format("no end after {} s", limits.seconds);
  } else if (WIFSIGNALED(status)) {
    result.message = fmt::format("crashed: {}", strsignal(WTERMSIG(status)));
  } else if (child.said.empty()) {
    result.message = fmt::format("ended with exit code {} and no result", WEXITSTATUS(status));
  } else {
    result.status = static_cast<CaseResult::Status>(child.said[0] - '0');
    result.message = child.said.substr(1);
  }
  return result;
}

// The processes that run now.
class Pool {
 public:
  explicit Pool(const CaseLimits& limits) : limits_(limits) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (const Child& c : children_) {
      kill(c.pid, SIGKILL);
      waitpid(c.pid, nullptr, 0);
      close(c.pipe);
    }
  }

  size_t size() const { return children_.size(); }
  void add(Child child) { children_.push_back(std::move(child)); }

  // Waits until something happens; hands over what has ended.
  void wait(const std::function<void(size_t, CaseResult)>& ended) {
    std::vector<pollfd> polls;
    double left = limits_.seconds;
    for (const Child& c : children_) {
      polls.push_back({c.pipe, POLLIN, 0});
      left = std::min(left, c.started + limits_.seconds - seconds_now());
    }
    poll(polls.data(), polls.size(), std::clamp(static_cast<int>(left * 1000) + 1, 1, 100000));
    for (size_t k = children_.size(); k-- > 0;) {
      Child& c = children_[k];
      bool overdue = !c.timed_out && seconds_now() - c.started > limits_.seconds;
      if (overdue) {
        c.timed_out = true;
        kill(c.pid, SIGKILL);
      }
      if (!(polls[k].revents & (POLLIN | POLLHUP)) || read_more(c)) continue;
      int status = 0;
      waitpid(c.pid, &status, 0);
      close(c.pipe);
      ended(c.index, result_of(c, status, limits_));
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }

 private:
  // False at the end.
  static bool read_more(Child& c) {
    char buffer[4096];
    ssize_t n = read(c.pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return true;
    if (n > 0 && c.said.size() < max_message) c.said.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }

  const CaseLimits& limits_;
  std::vector<Child> children_;
};

}  // namespace

std::vector<CaseResult> run_cases(size_t count, const CaseLimits& limits,
                                  const std::function<CaseResult(size_t)>& run,
                                  const std::function<void(size_t, const CaseResult&)>& done) {
  std::vector<CaseResult> results(count);
  UninterruptedScope hold;
  Pool pool(limits);
  size_t next = 0;
  while (next < count || pool.size() > 0) {
    check_interrupt();
    while (next < count && pool.size() < static_cast<size_t>(limits.jobs)) {
      pool.add(start(next++, limits, run));
    }
    pool.wait([&](size_t index, CaseResult result) {
      results[index] = std::move(result);
      done(index, results[index]);
    });
  }
  return results;
}

}  // namespace onnxrun::tool
