#include "common_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "messages.h"

namespace onnxrun::tool {

LoadOptions CommonOptions::load_options() const {
  LoadOptions load;
  load.max_memory = max_memory;
  if (external_data == "deny") {
    load.external_data = LoadOptions::ExternalData::Deny;
  } else if (external_data != "model-dir") {
    if (!std::filesystem::is_directory(external_data)) {
      fail(ErrorKind::Usage, "--external-data: '{}' is no folder; give deny, model-dir or a folder",
           external_data);
    }
    load.external_data = LoadOptions::ExternalData::Directory;
    load.external_directory = external_data;
  }
  return load;
}

SessionOptions CommonOptions::session_options() const {
  SessionOptions session;
  session.threads = threads;
  session.optimize = optimize > 0;
  session.max_memory = max_memory;
  session.max_loop_iterations = max_loop_iterations;
  return session;
}

static int threads_from_environment() {
  const char* text = std::getenv("ONNXRUN_NUM_THREADS");
  if (!text || !*text) return 0;
  int64_t n = parse_integer("ONNXRUN_NUM_THREADS", text);
  if (n < 1 || n > 4096) {
    fail(ErrorKind::Usage, "ONNXRUN_NUM_THREADS is {}, not between 1 and 4096", n);
  }
  return static_cast<int>(n);
}

void add_common_options(CLI::App& app, CommonOptions& o) {
  CLI::App* group = app.add_option_group("Common options");
  o.threads = threads_from_environment();
  group
      ->add_option("--threads", o.threads,
                   "threads to use (default: ONNXRUN_NUM_THREADS, else what the machine allows)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  group
      ->add_option_function<std::string>(
          "--max-memory",
          [&o](const std::string& text) { o.max_memory = parse_bytes("--max-memory", text); },
          "most memory for tensors, e.g. 2G")
      ->type_name("SIZE");
  group
      ->add_option_function<std::string>(
          "--timeout",
          [&o](const std::string& text) { o.timeout_seconds = parse_seconds("--timeout", text); },
          "wall time after which the command ends with exit code 124, e.g. 30s")
      ->type_name("TIME");
  group
      ->add_option("--max-loop-iterations", o.max_loop_iterations,
                   "most iterations of any one loop of the model")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  group
      ->add_option("--external-data", o.external_data,
                   "where the model's data files may lie: deny, model-dir (default), or a folder "
                   "that links may lead into")
      ->type_name("WHERE");
  group
      ->add_option("--optimize", o.optimize,
                   "0 runs every node as the file has it (default: 2, everything)")
      ->type_name("LEVEL")
      ->check(CLI::Range(0, 2));
  group->add_option("--seed", o.seed, "of all random numbers (default: 0)")->type_name("N");
  group->add_flag("--json", o.json, "print one JSON document");
  group->add_flag_callback(
      "-v,--verbose", [] { set_log_level(LogLevel::Debug); }, "say more");
  group->add_flag_callback(
      "-q,--quiet", [] { set_log_level(LogLevel::Warning); },
      "say nothing but warnings and errors");
  group
      ->add_option_function<std::string>(
          "--log-level", [](const std::string& text) { set_log_level(text); },
          "error, warning, info (default) or debug")
      ->type_name("LEVEL");
}

CLI::Option* add_repeated(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                          const std::string& help) {
  return app.add_option(name, values, help)->allow_extra_args(false);
}

namespace {

struct Unit {
  std::string_view suffix;
  double factor;
};

double number_with_unit(std::string_view option, const std::string& text,
                        std::initializer_list<Unit> units, std::string_view example) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error == std::errc() && std::isfinite(value) && value >= 0) {
    for (const Unit& unit : units) {
      if (rest == unit.suffix) return value * unit.factor;
    }
  }
  fail(ErrorKind::Usage, "{}: '{}' should be like {}", option, text, example);
}

}  // namespace

int64_t parse_bytes(std::string_view option, const std::string& text) {
  constexpr double k = 1024;
  double bytes = number_with_unit(option, text,
                                  {{"", 1},
                                   {"B", 1},
                                   {"K", k},
                                   {"KiB", k},
                                   {"M", k * k},
                                   {"MiB", k * k},
                                   {"G", k * k * k},
                                   {"GiB", k * k * k},
                                   {"T", k * k * k * k},
                                   {"TiB", k * k * k * k}},
                                  "2G or 512M");
  return bytes >= 9.2e18 ? INT64_MAX : static_cast<int64_t>(bytes);
}

double parse_seconds(std::string_view option, const std::string& text) {
  double seconds = number_with_unit(
      option, text, {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"min", 60}, {"h", 3600}},
      "30s, 500ms or 2m");
  if (seconds <= 0) fail(ErrorKind::Usage, "{}: the time must be more than nothing", option);
  return seconds;
}

double parse_number(std::string_view option, const std::string& text) {
  size_t slash = text.find('/');
  std::string first = text.substr(0, slash);
  double value = 0;
  auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), value);
  if (first.empty() || error != std::errc() || end != first.data() + first.size()) {
    fail(ErrorKind::Usage, "{}: '{}' is no number", option, text);
  }
  if (slash == std::string::npos) return value;
  double below = parse_number(option, text.substr(slash + 1));
  if (below == 0) fail(ErrorKind::Usage, "{}: '{}' divides by zero", option, text);
  return value / below;
}

int64_t parse_integer(std::string_view option, const std::string& text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::Usage, "{}: '{}' is no integer", option, text);
  }
  return value;
}

std::pair<std::string, std::string> parse_assignment(std::string_view option,
                                                     const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail(ErrorKind::Usage, "{}: '{}' should be NAME=VALUE", option, text);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<std::string> split_list(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    if (end > 0) pieces.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return pieces;
}

std::string name_list(const std::vector<std::string>& names, size_t limit) {
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), limit); ++i) {
    text += (i ? ", '" : "'") + names[i] + "'";
  }
  if (names.size() > limit) text += fmt::format(" and {} more", names.size() - limit);
  return text;
}

}  // namespace onnxrun::tool
