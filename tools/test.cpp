#include <fnmatch.h>
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_names.h"
#include "case_runner.h"
#include "command.h"
#include "comparison.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "inputs.h"
#include "messages.h"
#include "test_report.h"
#include "top_classes.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

namespace {

class Test final : public Command {
 public:
  Test() : Command({}) {}

  void declare(Options& options) override {
    options
        .add_repeated(
            "directories", roots_,
            "folders with model.onnx and test_data_set_N/{input,output}_K.pb, at any depth")
        .type_name("DIR")
        .required();
    options
        .add_repeated("-k", patterns_, "only cases whose name contains this or matches this glob")
        .type_name("PATTERN");
    options.add("-j,--jobs", limits_.jobs, "cases at a time (default: 1)")
        .type_name("N")
        .check(between(1, 1024));
    options.add("--rtol", tolerance_.rtol, "relative tolerance (default: 1e-3)")
        .type_name("X")
        .check(at_least(0));
    options.add("--atol", tolerance_.atol, "absolute tolerance (default: 1e-7)")
        .type_name("X")
        .check(at_least(0));
    options
        .add("--expect", expect_, "names of cases, one a line: these have to pass, others need not")
        .type_name("LIST");
    options.add("--junit", junit_, "write the results as JUnit XML").type_name("FILE");
  }

  // --timeout is for each case.
  std::optional<double> time_limit() const override { return std::nullopt; }

  int execute() override {
    std::vector<TestCase> cases = find_cases();
    check_files(cases);
    std::vector<std::string> expected =
        expect_.empty() ? std::vector<std::string>() : read_expected();
    limits_.seconds = common_.timeout_seconds.value_or(60);
    // Beside tensors a process needs room for code, stacks and what allocators reserve.
    constexpr int64_t room = int64_t{2} << 30;
    if (common_.is_max_memory_given && common_.max_memory < INT64_MAX / 2) {
      limits_.memory = 2 * common_.max_memory + room;
    }
    if (common_.threads == 0) common_.threads = 1;
    std::vector<CaseResult> results = run_cases(
        cases.size(), limits_, [&](size_t k) { return run_case(cases[k].folder); },
        [&](size_t k, const CaseResult& r) { show(cases[k].name, r); });
    for (size_t k = 0; k < cases.size(); ++k) results[k].name = cases[k].name;
    if (!junit_.empty()) write_file(junit_, to_junit(results));
    return report(results, expected);
  }

 private:
  struct TestCase {
    std::string name;
    fs::path folder;
  };

  bool is_wanted(const std::string& name) const {
    if (patterns_.empty()) return true;
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& p) {
      return name.find(p) != std::string::npos || fnmatch(p.c_str(), name.c_str(), 0) == 0;
    });
  }

  // Named by their folder, by the way to it if two folders have one name.
  std::vector<TestCase> find_cases() const {
    std::vector<TestCase> cases;
    std::map<std::string, int> names;
    for (const std::string& root : roots_) {
      if (!is_folder(root)) fail(ErrorKind::BadInput, "{}: there is no such folder", root);
      auto add = [&](const fs::path& folder) {
        cases.push_back({fs::absolute(folder).lexically_normal().filename().string(), folder});
        ++names[cases.back().name];
      };
      if (file_exists(fs::path(root) / "model.onnx")) add(root);
      for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.is_directory() && file_exists(entry.path() / "model.onnx")) add(entry.path());
      }
    }
    for (TestCase& c : cases) {
      if (names[c.name] > 1) c.name = c.folder.lexically_normal().string();
    }
    std::erase_if(cases, [&](const TestCase& c) { return !is_wanted(c.name); });
    std::sort(cases.begin(), cases.end(),
              [](const TestCase& a, const TestCase& b) { return a.name < b.name; });
    if (cases.empty()) {
      fail(ErrorKind::BadInput, "{}: no folder has a model.onnx{}", name_list(roots_),
           patterns_.empty() ? "" : " and a name that -k asks for");
    }
    return cases;
  }

  void check_files(const std::vector<TestCase>& cases) const {
    std::error_code error;
    if (junit_.empty() || !fs::exists(junit_, error)) return;
    FilesInUse files;
    files.read(expect_);
    for (const TestCase& c : cases) {
      files.read(c.folder.string());
      for (const fs::path& set : data_sets(c.folder)) files.read(set.string());
    }
    files.write("--junit", junit_);
  }

  std::vector<std::string> read_expected() const {
    std::vector<std::string> names;
    for (const std::string& line : read_lines(expect_)) {
      if (!line.empty() && !line.starts_with('#') && is_wanted(line)) names.push_back(line);
    }
    return names;
  }

  static std::vector<fs::path> data_sets(const fs::path& folder) {
    std::vector<fs::path> sets;
    for (const auto& entry : fs::directory_iterator(folder)) {
      bool named = entry.path().filename().string().starts_with("test_data_set_");
      if (named && entry.is_directory()) sets.push_back(entry.path());
    }
    std::sort(sets.begin(), sets.end());
    return sets;
  }

  // In the child.
  CaseResult run_case(const fs::path& folder) const {
    CaseResult result;
    std::vector<fs::path> sets = data_sets(folder);
    if (sets.empty()) {
      result.status = CaseResult::Status::Skipped;
      result.message = "no test_data_set_N";
      return result;
    }
    Model model = Model::load((folder / "model.onnx").string(), common_.load_options());
    Session session(model, common_.session_options());
    for (const fs::path& set : sets) {
      result.message = differences(model.graph(), session, set.string());
      if (result.message.empty()) continue;
      result.message = set.filename().string() + ": " + result.message;
      return result;
    }
    result.status = CaseResult::Status::Passed;
    return result;
  }

  std::string differences(const Graph& graph, Session& session, const std::string& set) const {
    std::vector<std::string> needed = session.input_names();
    NamedValues inputs;
    if (file_exists(set + "/input_0.pb")) inputs = read_unnamed(graph, set, common_.max_memory);
    std::erase_if(inputs, [&](const auto& input) {
      return std::find(needed.begin(), needed.end(), input.first) == needed.end() &&
             std::find(graph.inputs.begin(), graph.inputs.end(), graph.find(input.first)) !=
                 graph.inputs.end();
    });
    NamedValues outputs = session.run(inputs);
    std::vector<Type> types;
    for (ValueId v : graph.outputs) types.push_back(graph.value(v).type);
    std::vector<RuntimeValue> expected =
        read_value_directory(set, "output", types, common_.max_memory);
    for (size_t k = 0; k < expected.size(); ++k) {
      Comparison c = compare_values(outputs[k].second, expected[k], tolerance_, true);
      if (!c.near) {
        return fmt::format("output '{}': {} ({} of {} elements off)", outputs[k].first, c.message,
                           c.off, c.compared);
      }
    }
    return "";
  }

  void show(const std::string& name, const CaseResult& r) const {
    if (common_.json) return;
    if (r.status == CaseResult::Status::Failed && expect_.empty()) {
      print(fmt::format("FAILED  {}: {}\n", name, r.message));
    } else if (is_shown(LogLevel::Debug)) {
      print(fmt::format("{:<7} {} ({:.2f} s)\n", status_name(r.status), name, r.seconds));
    }
  }

  int report(const std::vector<CaseResult>& results,
             const std::vector<std::string>& expected) const {
    std::vector<std::string> missed =
        expect_.empty() ? std::vector<std::string>() : missed_of(results, expected);
    if (common_.json) {
      print(to_json(results));
    } else {
      for (const std::string& line : missed) print("FAILED  " + line + "\n");
      print(summary(results) + "\n");
      if (!expect_.empty()) report_new(results, expected);
    }
    bool failed =
        expect_.empty() ? count(results, CaseResult::Status::Failed) > 0 : !missed.empty();
    return failed ? exit_failed : exit_ok;
  }

  static std::vector<std::string> missed_of(const std::vector<CaseResult>& results,
                                            const std::vector<std::string>& expected) {
    std::vector<std::string> missed;
    for (const std::string& name : expected) {
      auto r = std::find_if(results.begin(), results.end(),
                            [&](const CaseResult& c) { return c.name == name; });
      if (r == results.end()) {
        missed.push_back(name + ": there is no such case");
      } else if (r->status != CaseResult::Status::Passed) {
        missed.push_back(name + ": " + r->message);
      }
    }
    return missed;
  }

  static void report_new(const std::vector<CaseResult>& results,
                         const std::vector<std::string>& expected) {
    std::set<std::string> known(expected.begin(), expected.end());
    size_t fresh = 0;
    for (const CaseResult& r : results) {
      bool is_new = r.status == CaseResult::Status::Passed && !known.count(r.name);
      fresh += is_new;
      if (is_new) debug("passes and is not expected: {}", r.name);
    }
    print(fmt::format("{} expected to pass; {} more do\n", expected.size(), fresh));
  }

  std::vector<std::string> roots_, patterns_;
  std::string expect_, junit_;
  CaseLimits limits_;
  Tolerance tolerance_;
};

}  // namespace

const CommandInfo test_command = {"test", "runs ONNX backend-test folders",
                                  "  onnxrun test onnx/backend/test/data/node -j 4\n"
                                  "  onnxrun test node -k 'test_softmax*' -v\n"
                                  "  onnxrun test node --expect passing.txt --junit results.xml\n"
                                  "  onnxrun test my_model --rtol 1e-4 --json",
                                  make_command<Test>};

}  // namespace onnxrun::tool
