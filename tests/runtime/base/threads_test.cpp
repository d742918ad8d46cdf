// Parallel loops have the threads that were asked for.
#include "base/threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

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

}  // namespace
}  // namespace onnxrun
