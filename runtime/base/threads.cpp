#include "base/threads.h"

#include <pthread.h>

#include <algorithm>
#include <cmath>

#include "base/processors.h"
#include "base/work.h"

#ifdef ONNXRUN_PLAIN_THREADS
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>
#else
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <map>
#include <memory>
#include <mutex>
#endif

namespace onnxrun {

namespace {

thread_local int scope_threads = 1;

int count_available() {
  int cpus = affinity_processors();
  double quota = cgroup_quota();
  if (quota > 0) cpus = std::min(cpus, static_cast<int>(std::ceil(quota)));
  return std::max(cpus, 1);
}

}  // namespace

int available_threads() {
  static const int count = count_available();
  return count;
}

ThreadScope::ThreadScope(int threads) : previous_(scope_threads) {
  scope_threads = threads > 0 ? threads : available_threads();
}
ThreadScope::~ThreadScope() { scope_threads = previous_; }

#ifdef ONNXRUN_PLAIN_THREADS

static void run_pieces(int64_t pieces, const RangeFunction& piece) {
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&] {
    // Nested parallel loops stay in their thread.
    ThreadScope inner(1);
    for (int64_t i; (i = next.fetch_add(1)) < pieces;) {
      try {
        piece(i, i + 1);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  auto extra = std::min<int64_t>(scope_threads, pieces) - 1;
  for (int64_t t = 0; t < extra; ++t) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  if (error) std::rethrow_exception(error);
}

#else

// TBB has no more workers than processors unless it is told otherwise.
static void allow_threads(int threads) {
  using oneapi::tbb::global_control;
  static int allowed = oneapi::tbb::info::default_concurrency();
  static std::unique_ptr<global_control> control;
  if (threads <= allowed) return;
  allowed = threads;
  // Of several controls the lowest counts.
  control.reset();
  control = std::make_unique<global_control>(global_control::max_allowed_parallelism,
                                             static_cast<size_t>(threads));
}

// One arena a width, shared by all sessions that ask for that width; their workers come from TBB's
// one pool and sleep when idle.
static oneapi::tbb::task_arena& arena_of(int threads) {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<oneapi::tbb::task_arena> > arenas;
  std::lock_guard lock(mutex);
  auto& arena = arenas[threads];
  if (!arena) {
    allow_threads(threads);
    arena = std::make_unique<oneapi::tbb::task_arena>(threads);
  }
  return *arena;
}

// The child of a fork has this thread alone: the pool's others and what they held locked are lost.
static bool is_pool_lost = false;

static void notice_forks() {
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { is_pool_lost = true; });
}

static void run_pieces(int64_t pieces, const RangeFunction& piece) {
  if (is_pool_lost) return piece(0, pieces);
  notice_forks();
  arena_of(scope_threads).execute([&] {
    oneapi::tbb::parallel_for(
        oneapi::tbb::blocked_range<int64_t>(0, pieces, 1),
        [&](const oneapi::tbb::blocked_range<int64_t>& r) {
          // Nested parallel loops stay in their worker.
          ThreadScope inner(1);
          piece(r.begin(), r.end());
        },
        oneapi::tbb::simple_partitioner());
  });
}

#endif

void parallel_for(int64_t n, int64_t grain, RangeFunction f) {
  if (n <= 0) return;
  int64_t pieces = (n - 1) / grain + 1;
  const Work* work = current_work();
  auto piece = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (work && work->check) work->check(work->object);
      f(i * grain, std::min(n, (i + 1) * grain));
    }
  };
  if (scope_threads <= 1 || pieces == 1) return piece(0, pieces);
  run_pieces(pieces, [&](int64_t begin, int64_t end) {
    WorkScope same(work);
    piece(begin, end);
  });
}

}  // namespace onnxrun
