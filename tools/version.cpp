#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/threads.h"
#include "builtin_ops.h"
#include "command.h"
#include "exit_code.h"
#include "formats/json.h"
#include "graph/registry.h"
#include "machine.h"
#include "messages.h"
#include "openblas_report.h"

namespace onnxrun::tool {

namespace {

std::string features_text() {
  const std::vector<std::string> features = cpu_features();
  return features.empty() ? "none known" : fmt::format("{}", fmt::join(features, " "));
}

bool has_ml_operators() {
  const auto& all = builtin_ops().all();
  return std::any_of(all.begin(), all.end(),
                     [](const auto& op) { return op->spec.domain == "ai.onnx.ml"; });
}

class Version final : public Command {
 public:
  Version() : Command({}) {}
  void declare(Options&) override {}

  int execute() override {
    size_t operators = builtin_ops().all().size();
    int64_t processors = sysconf(_SC_NPROCESSORS_ONLN);
    const OpenBlasReport openblas = openblas_report();
    if (common_.json) {
      Json doc = {{"schema", "onnxrun.version/1"},  {"version", ONNXRUN_VERSION},
                  {"opset", current_opset},         {"operators", operators},
                  {"compiler", __VERSION__},        {"cpu_features", cpu_features()},
                  {"processors", processors},       {"threads", available_threads()},
                  {"libraries", ONNXRUN_LIBRARIES}, {"openblas", openblas.document}};
      if (has_ml_operators()) doc["ml_opset"] = current_ml_opset;
      print(doc.text());
      return exit_ok;
    }
    std::string ml =
        has_ml_operators() ? fmt::format(", ai.onnx.ml 1 to {}", current_ml_opset) : "";
    print(
        fmt::format("onnxrun {}\n"
                    "opsets: ai.onnx 1 to {}{}, com.microsoft 1; {} operators\n"
                    "compiler: {}\n"
                    "libraries: {}\n"
                    "OpenBLAS: {}\n"
                    "processor features: {}\n"
                    "threads: {} ({} processors online)\n",
                    ONNXRUN_VERSION, current_opset, ml, operators, __VERSION__, ONNXRUN_LIBRARIES,
                    openblas.text, features_text(), available_threads(), processors));
    if (!openblas.advice.empty()) warn("{}", openblas.advice);
    return exit_ok;
  }
};

}  // namespace

const CommandInfo version_command = {"version", "versions, libraries, processor features, threads",
                                     "  onnxrun version\n"
                                     "  onnxrun version --json",
                                     make_command<Version>};

}  // namespace onnxrun::tool
