// Parallel loops have the threads that were asked for.
#include "base/threads.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace onnxrun {
namespace {

// Each piece waits until as many as there are threads have begun: fewer threads would never get
// there.
int threads_that_meet(int threads) {
  std::mutex mutex;
  std::condition_variable met;
  int waiting = 0, most = 0;
  ThreadScope scope(threads);
  parallel_for(threads, 1, [&](int64_t, int64_t) {
    std::unique_lock lock(mutex);
    most = std::max(most, ++waiting);
    if (waiting == threads) met.notify_all();
    met.wait_for(lock, std::chrono::seconds(20), [&] { return most == threads; });
    --waiting;
  });
  return most;
}

TEST(Threads, MayBeMoreThanProcessors) {
  int more = available_threads() + 1;
  EXPECT_EQ(threads_that_meet(more), more);
  EXPECT_EQ(threads_that_meet(4 * more), 4 * more);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(Threads, SleepWhenThereIsNothingToDo) {
  EXPECT_EQ(threads_that_meet(4), 4);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(cpu_seconds() - before, 0.1);
}

// However many threads call, there is one pool, and no more of its pieces run than were asked for.
TEST(Threads, AreSharedByAllCallers) {
  std::atomic<int> running = 0, most = 0;
  std::vector<std::thread> callers;
  for (int k = 0; k < 16; ++k) {
    callers.emplace_back([&] {
      ThreadScope scope(2);
      parallel_for(50, 1, [&](int64_t, int64_t) {
        int now = ++running;
        for (int before = most; before < now && !most.compare_exchange_weak(before, now);) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        --running;
      });
    });
  }
  for (std::thread& t : callers) t.join();
#ifndef ONNXRUN_PLAIN_THREADS
  EXPECT_LE(most, 2);
#endif
  EXPECT_EQ(running, 0);
}

// What a child process says: the sum of 0 to 999 in its lowest byte.
int sum_in_child() {
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    std::atomic<int64_t> sum = 0;
    ThreadScope scope(4);
    parallel_for(1000, 1, [&](int64_t begin, int64_t) { sum += begin; });
    _exit(static_cast<int>(sum % 251));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Threads, AreThereOrDoneWithoutAfterAFork) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "no threads after a fork under TSan";
#endif
  const int expected = 999 * 1000 / 2 % 251;
  EXPECT_EQ(sum_in_child(), expected);
  EXPECT_EQ(threads_that_meet(4), 4);
  EXPECT_EQ(sum_in_child(), expected);
  // While the pool works for somebody else.
  std::atomic<bool> done = false;
  std::thread other([&] {
    ThreadScope scope(4);
    while (!done) parallel_for(1000, 1, [](int64_t, int64_t) {});
  });
  for (int k = 0; k < 20; ++k) EXPECT_EQ(sum_in_child(), expected);
  done = true;
  other.join();
}

}  // namespace
}  // namespace onnxrun
