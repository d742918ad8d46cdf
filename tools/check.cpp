#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "builtin_ops.h"
#include "command.h"
#include "exit_code.h"
#include "findings.h"
#include "formats/json.h"
#include "import_options.h"
#include "messages.h"
#include "model_check.h"
#include "model_loading.h"
#include "passes/lower.h"
#include "passes/parameters.h"
#include "trainability.h"

namespace onnxrun::tool {

namespace {

struct NotFinite {
  int64_t nans = 0, infinite = 0;
};

template <typename Values>
NotFinite count_not_finite(const Values& values) {
  NotFinite n;
  for (auto v : values) {
    n.nans += std::isnan(v);
    n.infinite += std::isinf(v);
  }
  return n;
}

NotFinite not_finite(const Tensor& t) {
  if (t.dtype() == DType::Float32) return count_not_finite(t.span<float>());
  if (t.dtype() == DType::Float64) return count_not_finite(t.span<double>());
  return count_not_finite(to_doubles(t));
}

class Check final : public Command {
 public:
  Check() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    options.add_switch("--strict", strict_, "warnings are failures, too: exit code 1");
    options.add_switch("--trainable", trainable_,
                       "also what stands in the way of training: operators without a gradient, "
                       "parameters that no gradient reaches");
  }

  int execute() override {
    ModelCheck check = look();
    Findings findings;
    for (const Finding& f : check.findings) findings.add(f);
    if (check.graph) check_graph(*check.graph, findings);
    std::vector<Finding> sorted = findings.all();
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    report(sorted);
    return code_of(sorted);
  }

 private:
  ModelCheck look() {
    ImportOptions options = import_options(common_.load_options());
    if (path_ == "-") {
      std::string bytes = read_standard_input(path_);
      options.path = path_;
      return check_model_bytes(bytes, builtin_ops(), options);
    }
    return in_context(path_, [&] { return check_model(path_, builtin_ops(), options); });
  }

  void check_graph(Graph& graph, Findings& findings) {
    choose_parameters(graph);
    check_elements(graph, findings);
    try {
      LowerOptions lowering{.optimize = common_.optimize > 0, .max_memory = common_.max_memory};
      lower(graph, lowering);
    } catch (const Error& e) {
      findings.note(e);
      return;
    }
    if (trainable_) parameters_ = check_trainable(graph, findings);
  }

  static void check_elements(const Graph& graph, Findings& findings) {
    for (const auto& entry : graph.initializers) {
      const Initializer& init = entry.second;
      const std::string& name = graph.name_of(entry.first);
      if (!is_float(init.value.dtype())) continue;
      auto [nans, infinite] = not_finite(init.value);
      auto add = [&](Severity severity, int64_t count, const char* what) {
        if (count == 0) return;
        Error e(ErrorKind::BadModel, fmt::format("initializer '{}' holds {}: {} of {} elements",
                                                 name, what, count, init.value.size()));
        findings.add({severity, "not-finite", e});
      };
      add(Severity::Warning, nans, "NaN");
      // Masks are made of them.
      add(init.role == Role::Constant ? Severity::Note : Severity::Warning, infinite, "infinities");
    }
  }

  static int64_t count(const std::vector<Finding>& findings, Severity severity) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& f) { return f.severity == severity; });
  }

  int code_of(const std::vector<Finding>& findings) const {
    bool unsupported = false;
    for (const Finding& f : findings) {
      if (f.severity != Severity::Error) continue;
      if (f.error.kind() != ErrorKind::Unsupported) return exit_code(f.error.kind());
      unsupported = true;
    }
    if (unsupported) return exit_unsupported;
    return strict_ && count(findings, Severity::Warning) > 0 ? exit_failed : exit_ok;
  }

  void report(const std::vector<Finding>& findings) const {
    if (common_.json) return print(document(findings).text());
    for (const Finding& f : findings) {
      print(without_controls(fmt::format("{}: {}: {} [{}]", path_, to_string(f.severity),
                                         f.error.what(), f.rule)) +
            "\n");
    }
    auto reached = std::count_if(parameters_.begin(), parameters_.end(),
                                 [](const ParameterState& p) { return p.reached; });
    if (trainable_ && !parameters_.empty()) {
      print(fmt::format("gradients reach {} of {} parameters\n", reached, parameters_.size()));
    }
    auto counted = [&](Severity severity) {
      int64_t n = count(findings, severity);
      return fmt::format("{} {}{}", n, to_string(severity), n == 1 ? "" : "s");
    };
    print(fmt::format("{}, {}, {}\n", counted(Severity::Error), counted(Severity::Warning),
                      counted(Severity::Note)));
  }

  Json document(const std::vector<Finding>& findings) const {
    Json list = Json::array();
    for (const Finding& f : findings) {
      Json entry = {{"severity", to_string(f.severity)},
                    {"rule", f.rule},
                    {"node", f.error.node()},
                    {"op", f.error.op()},
                    {"message", f.error.message()},
                    {"text", f.error.what()}};
      if (!f.found.empty()) entry["found"] = f.found;
      if (!f.expected.empty()) entry["expected"] = f.expected;
      list.push_back(std::move(entry));
    }
    Json doc = {{"schema", "onnxrun.check/1"},
                {"file", path_},
                {"valid", count(findings, Severity::Error) == 0},
                {"errors", count(findings, Severity::Error)},
                {"warnings", count(findings, Severity::Warning)},
                {"notes", count(findings, Severity::Note)},
                {"findings", std::move(list)}};
    if (trainable_) {
      Json parameters = Json::array();
      for (const ParameterState& p : parameters_) {
        parameters.push_back(Json{{"name", p.name}, {"reached", p.reached}});
      }
      doc["parameters"] = std::move(parameters);
    }
    return doc;
  }

  std::string path_;
  bool strict_ = false, trainable_ = false;
  std::vector<ParameterState> parameters_;
};

}  // namespace

const CommandInfo check_command = {"check", "says all that is wrong with a model, or unusual in it",
                                   "  onnxrun check model.onnx\n"
                                   "  onnxrun check model.onnx --strict --json\n"
                                   "  onnxrun check model.onnx --trainable",
                                   make_command<Check>};

}  // namespace onnxrun::tool
