#include "passes/pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace onnxrun {

static void check_stop(std::span<const Pass> passes, const std::string& stop_after) {
  if (stop_after.empty()) return;
  std::string names;
  for (const Pass& pass : passes) {
    if (pass.name == stop_after) return;
    names += (names.empty() ? "" : ", ") + std::string(pass.name);
  }
  fail(ErrorKind::Usage, "there is no pass '{}'; there are {}", stop_after, names);
}

std::vector<PassRecord> run_passes(Graph& graph, std::span<const Pass> passes,
                                   const PassOptions& options) {
  check_stop(passes, options.stop_after);
  std::vector<PassRecord> records;
  for (const Pass& pass : passes) {
    PassRecord record{std::string(pass.name), 0, graph.nodes.size(), 0};
    auto begin = std::chrono::steady_clock::now();
    pass.run(graph);
    record.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    record.nodes_after = graph.nodes.size();
    if (options.verify) {
      try {
        verify(graph);
      } catch (const Error& e) {
        throw e.in(fmt::format("after pass '{}'", pass.name));
      }
    }
    records.push_back(std::move(record));
    if (pass.name == options.stop_after) break;
  }
  return records;
}

std::string to_string(std::span<const PassRecord> records) {
  std::string text;
  for (const PassRecord& r : records) {
    text += fmt::format("{:<20} {:>6} -> {:<6} nodes {:8.3f} ms\n", r.name, r.nodes_before,
                        r.nodes_after, 1e3 * r.seconds);
  }
  return text;
}

}  // namespace onnxrun
