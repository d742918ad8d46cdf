// One session used by several threads at once: runs a second, and the processor time of a run,
// which tells more where the processors have other work, too. Then what sessions cost that nobody
// uses.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::Dims;
using onnxrun::DType;
using onnxrun::Tensor;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 100;
constexpr auto round_time = std::chrono::milliseconds(10);

struct Case {
  const char* name;
  const char* folder;
  const char* input;
  Dims dims;
};

struct Rate {
  double runs_a_second = 0, cpu_of_run = 1e9;
};

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Tensor ramp(const Dims& dims) {
  Tensor t(DType::Float32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(i % 7) / 7;
  return t;
}

onnxrun::Session session_of(const Case& c, int threads) {
  onnxrun::SessionOptions options;
  options.threads = threads;
  const auto path = std::string(ONNXRUN_MODELS "/") + c.folder + "/model.onnx";
  return onnxrun::Session(onnxrun::Model::load(path), options);
}

// The better of `best` and a round of `callers` threads.
void time_round(onnxrun::Session& session, const Case& c, int callers, Rate& best) {
  std::atomic<bool> ends = false;
  std::atomic<int64_t> runs = 0;
  auto call = [&] {
    const onnxrun::NamedValues inputs = {{c.input, ramp(c.dims)}};
    int64_t own = 0;
    while (!ends.load(std::memory_order_relaxed)) {
      session.run(inputs);
      ++own;
    }
    runs += own;
  };
  const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int k = 0; k < callers; ++k) threads.emplace_back(call);
  std::this_thread::sleep_for(round_time);
  ends = true;
  for (std::thread& t : threads) t.join();
  const std::chrono::duration<double> took = Clock::now() - start;
  const auto count = static_cast<double>(runs.load());
  best.runs_a_second = std::max(best.runs_a_second, count / took.count());
  best.cpu_of_run = std::min(best.cpu_of_run, (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / count);
}

void compare_callers(const Case& c) {
  onnxrun::Session session = session_of(c, 1);
  const std::vector<int> callers = {1, 2, 4, 16};
  std::vector<Rate> rates(callers.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t k = 0; k < callers.size(); ++k) time_round(session, c, callers[k], rates[k]);
  }
  for (size_t k = 0; k < callers.size(); ++k) {
    std::printf("| %s | %d | %.0f | %.2f | %.2f |\n", c.name, callers[k], rates[k].runs_a_second,
                rates[k].runs_a_second / rates[0].runs_a_second, 1e6 * rates[k].cpu_of_run);
  }
}

void time_idle_sessions(const Case& c) {
  std::vector<onnxrun::Session> sessions;
  for (int k = 0; k < 8; ++k) {
    sessions.push_back(session_of(c, 0));
    sessions.back().run({{c.input, ramp(c.dims)}});
  }
  // The pool's threads look for work a little longer.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  std::printf("\n%zu sessions with a pool, idle for 2 s: %.3f ms of processor time\n",
              sessions.size(), 1e3 * (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before));
}

}  // namespace

int main() {
  const Case xor_net = {"xor", "s2_xor_bce_dyn", "x", {2}};
  const Case cnn = {"cnn", "cnn_folded_dyn", "x", {16, 1, 28, 28}};
  std::printf(
      "| one session | callers | runs a second | times those of one | processor time, µs |\n");
  std::printf("|---|---|---|---|---|\n");
  compare_callers(xor_net);
  compare_callers({"mnist_mlp", "mlp_mnist_dyn", "image", {32, 28, 28}});
  compare_callers(cnn);
  time_idle_sessions(cnn);
}
