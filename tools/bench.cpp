#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/threads.h"
#include "base/work.h"
#include "command.h"
#include "exit_code.h"
#include "formats/json.h"
#include "interrupt.h"
#include "latencies.h"
#include "messages.h"
#include "model_loading.h"
#include "workload.h"

namespace onnxrun::tool {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

// Runners that a signal cancels together.
struct RunnerGroup {
  std::vector<std::unique_ptr<Runner>> runners;
  void cancel() {
    for (auto& runner : runners) runner->cancel();
  }
};

class Bench final : public Command {
 public:
  Bench() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    add_workload_options(options, workload_);
    options
        .add("--warmup", warmup_, "runs before the timing (default: as many as fill a tenth of it)")
        .type_name("N")
        .check(between(0, 1'000'000'000))
        .group("Timing");
    options
        .add(
            "--duration",
            [this](const std::string& text) { duration_ = parse_seconds("--duration", text); },
            "how long to time (default: 3s)")
        .type_name("TIME")
        .group("Timing");
    options.add("--iterations", iterations_, "how many runs to time; with --duration, at most")
        .type_name("N")
        .check(between(1, 1'000'000'000'000))
        .group("Timing");
    options
        .add(
            "--percentile", [this](const std::string& text) { take_percentiles(text); },
            "percentiles to show, with commas (default: 50,90,99)")
        .type_name("P")
        .group("Timing");
    options
        .add("--concurrency", concurrency_,
             "callers at the same time, each with a session of its own (default: 1)")
        .type_name("N")
        .check(between(1, 1024))
        .group("Timing");
  }

  int execute() override {
    Workload workload(path_, workload_, common_);
    RunnerGroup group;
    CancelScope cancel(group);
    auto start = Clock::now();
    in_context(path_, [&] {
      for (int64_t k = 0; k < concurrency_; ++k) group.runners.push_back(workload.make_runner());
      group.runners.front()->run();
    });
    first_run_ = seconds_since(start);
    for (size_t k = 1; k < group.runners.size(); ++k) {
      in_context(path_, [&] { group.runners[k]->run(); });
    }
    check_interrupt();
    measure(group);
    report(workload);
    return exit_ok;
  }

 private:
  void take_percentiles(const std::string& text) {
    percentiles_.clear();
    for (const std::string& piece : split_list(text)) {
      double p = parse_number("--percentile", piece);
      if (!(p >= 0 && p <= 100)) {
        fail(ErrorKind::Usage, "--percentile: {} should be between 0 and 100", piece);
      }
      percentiles_.push_back(p);
    }
    if (percentiles_.empty()) fail(ErrorKind::Usage, "--percentile: '{}' names none", text);
  }

  // Without --duration a number of runs takes as long as it takes.
  double time_limit_of_timing() const {
    return duration_.value_or(iterations_ ? std::numeric_limits<double>::infinity() : 3.0);
  }

  void warm_up(Runner& runner) const {
    auto start = Clock::now();
    double seconds = std::min(time_limit_of_timing() / 10, 1.0);
    for (int64_t k = 0; warmup_ ? k < *warmup_ : seconds_since(start) < seconds; ++k) runner.run();
  }

  void time(Runner& runner, Latencies& latencies) const {
    warm_up(runner);
    double limit = time_limit_of_timing();
    auto start = Clock::now();
    do {
      auto before = Clock::now();
      runner.run();
      latencies.add(seconds_since(before));
    } while (latencies.count() < iterations_.value_or(INT64_MAX) && seconds_since(start) < limit);
  }

  void measure(RunnerGroup& group) {
    std::vector<Latencies> latencies(group.runners.size());
    std::vector<double> spans(group.runners.size());
    std::exception_ptr error;
    std::atomic<bool> failed = false;
    std::vector<std::thread> threads;
    const Work* own = current_work();
    auto work = [&](size_t k) {
      WorkScope scope(own);
      try {
        time(*group.runners[k], latencies[k]);
      } catch (...) {
        // What ends the others is the first one's error.
        if (!failed.exchange(true)) error = std::current_exception();
        group.cancel();
      }
    };
    for (size_t k = 1; k < group.runners.size(); ++k) threads.emplace_back(work, k);
    work(0);
    for (std::thread& t : threads) t.join();
    if (error) in_context(path_, [&] { std::rethrow_exception(error); });
    for (size_t k = 0; k < latencies.size(); ++k) {
      stable_ = stable_ && latencies[k].is_stable();
      // Callers overlap, so their rates add up.
      throughput_ += 1 / std::max(latencies[k].mean(), 1e-12);
      latencies_.add(latencies[k]);
    }
  }

  void report(const Workload& workload) const {
    int threads = common_.threads > 0 ? common_.threads : available_threads();
    if (common_.json) {
      print(document(workload, threads).text());
    } else {
      print_text(workload, threads);
    }
    if (!stable_) {
      warn(
          "timing is unstable: p90 {:.3g} us, median {:.3g} us; other work on the machine, or too "
          "short a --duration",
          1e6 * latencies_.percentile(90), 1e6 * latencies_.percentile(50));
    }
  }

  static std::string percentile_name(double p) { return fmt::format("p{:g}", p); }

  Json document(const Workload& workload, int threads) const {
    Json inputs = Json::object();
    for (const auto& [name, value] : workload.inputs()) inputs[name] = describe(value);
    Json latency = {{"min", 1e6 * latencies_.min()}, {"mean", 1e6 * latencies_.mean()}};
    for (double p : percentiles_) latency[percentile_name(p)] = 1e6 * latencies_.percentile(p);
    latency["max"] = 1e6 * latencies_.max();
    return {{"schema", "onnxrun.bench/1"},
            {"file", path_},
            {"work", workload.description()},
            {"inputs", inputs},
            {"iterations", latencies_.count()},
            {"latency_us", latency},
            {"throughput", throughput_},
            {"stable", stable_},
            {"load_ms", 1e3 * workload.load_seconds()},
            {"first_run_ms", 1e3 * first_run_},
            {"peak_rss_bytes", peak_rss_bytes()},
            {"threads", threads},
            {"concurrency", concurrency_}};
  }

  void print_text(const Workload& workload, int threads) const {
    std::string text = fmt::format("{}: {}\n", path_, workload.description());
    for (const auto& [name, value] : workload.inputs()) {
      text += fmt::format("  input {}: {}\n", name, describe(value));
    }
    text += fmt::format("{} runs, {} threads, {} at a time\n", latencies_.count(), threads,
                        concurrency_);
    auto us = [](double seconds) { return fmt::format("{:.5g}", 1e6 * seconds); };
    text +=
        fmt::format("latency in us: min {}, mean {}", us(latencies_.min()), us(latencies_.mean()));
    for (double p : percentiles_) {
      text += fmt::format(", {} {}", percentile_name(p), us(latencies_.percentile(p)));
    }
    text += fmt::format(", max {}\n", us(latencies_.max()));
    text += fmt::format("throughput: {:.5g} runs/s\n", throughput_);
    text += fmt::format("load {:.4g} ms, first run {:.4g} ms, peak memory {:.4g} MiB\n",
                        1e3 * workload.load_seconds(), 1e3 * first_run_,
                        static_cast<double>(peak_rss_bytes()) / (1 << 20));
    print(text);
  }

  std::string path_;
  WorkloadOptions workload_;
  std::optional<int64_t> warmup_, iterations_;
  std::optional<double> duration_;
  std::vector<double> percentiles_ = {50, 90, 99};
  int64_t concurrency_ = 1;
  double first_run_ = 0, throughput_ = 0;
  bool stable_ = true;
  Latencies latencies_;
};

}  // namespace

const CommandInfo bench_command = {
    "bench", "times runs or training steps",
    "  onnxrun bench model.onnx --dim batch=8\n"
    "  onnxrun bench model.onnx -i x=x.npy --iterations 1000 --percentile 50,95,99.9 --json\n"
    "  onnxrun bench model.onnx --threads 1 --concurrency 4 --duration 10s\n"
    "  onnxrun bench model.onnx --train --loss cross_entropy --optimizer adam --dim batch=64",
    make_command<Bench>};

}  // namespace onnxrun::tool
