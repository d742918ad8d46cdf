#include <algorithm>
#include <chrono>

#include "base/atomic_file.h"
#include "base/error.h"
#include "command.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "formats/json.h"
#include "graph_view.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "node_times.h"
#include "workload.h"

namespace onnxrun::tool {

namespace {

using Clock = std::chrono::steady_clock;

class Profile final : public Command {
 public:
  Profile() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    add_workload_options(options, workload_);
    options
        .add("--by", by_, "what times are added up by (default: op); shape: by operator and types")
        .type_name("op|node|shape")
        .check(one_of({"op", "node", "shape"}))
        .group("Profile");
    options.add_switch("--memory", memory_, "also bytes of outputs, and of what lives at once")
        .group("Profile");
    options
        .add("--trace", trace_,
             "write the first runs node by node, for ui.perfetto.dev or chrome://tracing")
        .type_name("FILE")
        .group("Profile");
    options.add("--iterations", iterations_, "runs to add up (default: as many as a second has)")
        .type_name("N")
        .check(between(1, 1'000'000'000))
        .group("Profile");
    options.add("--rows", most_rows_, "so many of the slowest are shown (default: 30)")
        .type_name("N")
        .check(between(1, 1'000'000))
        .group("Profile");
  }

  int execute() override {
    Workload workload(path_, workload_, common_);
    FilesInUse files;
    files.read(workload.model());
    files.read(workload_.inputs.inputs);
    files.read(workload_.targets);
    files.write("--trace", trace_);
    ProfileBy by = by_ == "op" ? ProfileBy::Op : by_ == "node" ? ProfileBy::Node : ProfileBy::Shape;
    NodeTimes times(by, trace_.empty() ? 1 : traced_runs);
    in_context(path_, [&] { measure(workload, times); });
    if (!trace_.empty()) {
      UninterruptedScope hold;
      write_file(trace_, times.trace(path_, memory_));
    }
    report(workload, times);
    return exit_ok;
  }

 private:
  static constexpr int64_t traced_runs = 20;

  // Calls run() as often as is asked for; returns how often.
  int64_t repeat(const std::function<void()>& run) const {
    auto start = Clock::now();
    int64_t runs = 0;
    auto enough = [&] {
      return iterations_ ? runs >= *iterations_ : Clock::now() - start >= std::chrono::seconds(1);
    };
    do {
      run();
      ++runs;
    } while (!enough());
    return runs;
  }

  void measure(const Workload& workload, NodeTimes& times) {
    std::unique_ptr<Runner> runner = workload.make_runner();
    CancelScope cancel(*runner);
    runner->run();
    auto start = Clock::now();
    int64_t runs = repeat([&] { runner->run(); });
    plain_seconds_ =
        std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(runs);
    runner->observe([&](const Session::NodeRecord& record) { times.add(record); });
    repeat([&] {
      times.begin_run();
      runner->run();
      times.end_run();
    });
  }

  struct Line {
    const NodeTimes::Row& row;
    double calls, us, share;
    double bytes;
  };
  static Line line_of(const NodeTimes::Row& row, const NodeTimes& times) {
    auto runs = static_cast<double>(times.runs());
    double share = times.node_seconds() > 0 ? row.seconds / times.node_seconds() : 0;
    return {row, static_cast<double>(row.calls) / runs, 1e6 * row.seconds / runs, share,
            static_cast<double>(row.bytes) / runs};
  }

  void report(const Workload& workload, const NodeTimes& times) const {
    if (common_.json) {
      print(document(workload, times).text());
    } else {
      print_text(workload, times);
    }
  }

  Json document(const Workload& workload, const NodeTimes& times) const {
    Json list = Json::array();
    for (const NodeTimes::Row& row : times.rows()) {
      Line line = line_of(row, times);
      Json entry = {{by_, row.key}};
      if (by_ != "op") entry["op"] = row.op;
      entry["calls"] = line.calls;
      entry["us"] = line.us;
      entry["share"] = line.share;
      if (memory_) entry["output_bytes"] = line.bytes;
      list.push_back(std::move(entry));
    }
    auto runs = static_cast<double>(times.runs());
    Json doc = {{"schema", "onnxrun.profile/1"},
                {"file", path_},
                {"work", workload.description()},
                {"by", by_},
                {"runs", times.runs()},
                {"run_us", 1e6 * plain_seconds_},
                {"profiled_run_us", 1e6 * times.seconds() / runs},
                {"nodes_us", 1e6 * times.node_seconds() / runs},
                {"rows", std::move(list)}};
    if (memory_) {
      NodeTimes::Peak peak = times.peak();
      doc["peak_live_bytes"] = peak.bytes;
      doc["peak_at"] = peak.node;
    }
    return doc;
  }

  void print_text(const Workload& workload, const NodeTimes& times) const {
    auto runs = static_cast<double>(times.runs());
    std::string text = fmt::format("{}: {}\n", path_, workload.description());
    text += fmt::format("{} runs; a run takes {:.5g} us, its nodes {:.5g} us\n", times.runs(),
                        1e6 * plain_seconds_, 1e6 * times.node_seconds() / runs);
    std::vector<std::vector<std::string>> rows = {{"us", "%", "calls", by_}};
    if (by_ == "node") rows[0].emplace_back("op");
    if (memory_) rows[0].emplace_back("output bytes");
    std::vector<NodeTimes::Row> all = times.rows();
    for (size_t k = 0; k < all.size() && k < static_cast<size_t>(most_rows_); ++k) {
      Line line = line_of(all[k], times);
      rows.push_back({fmt::format("{:.2f}", line.us), fmt::format("{:.1f}", 100 * line.share),
                      fmt::format("{:g}", line.calls), without_controls(all[k].key)});
      if (by_ == "node") rows.back().push_back(all[k].op);
      if (memory_) rows.back().push_back(fmt::format("{:.0f}", line.bytes));
    }
    text += table(rows);
    if (all.size() > static_cast<size_t>(most_rows_)) {
      text += fmt::format("  and {} more (--rows)\n", all.size() - static_cast<size_t>(most_rows_));
    }
    if (memory_) {
      NodeTimes::Peak peak = times.peak();
      text += fmt::format("most at once: {} bytes of values, at node '{}'\n", peak.bytes,
                          without_controls(peak.node));
    }
    print(text);
  }

  std::string path_, by_ = "op", trace_;
  WorkloadOptions workload_;
  bool memory_ = false;
  std::optional<int64_t> iterations_;
  int64_t most_rows_ = 30;
  double plain_seconds_ = 0;
};

}  // namespace

const CommandInfo profile_command = {
    "profile", "time and memory by operator, node or shape",
    "  onnxrun profile model.onnx --dim batch=8\n"
    "  onnxrun profile model.onnx --by node --memory --json\n"
    "  onnxrun profile model.onnx --trace trace.json --iterations 5\n"
    "  onnxrun profile model.onnx --train --loss cross_entropy --by shape",
    make_command<Profile>};

}  // namespace onnxrun::tool
