#include "common_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "base/error.h"
#include "base/file_names.h"
#include "messages.h"

namespace onnxrun::tool {

LoadOptions CommonOptions::load_options() const {
  LoadOptions load;
  load.max_memory = max_memory;
  load.max_tensor_bytes = max_tensor;
  load.max_nesting = max_nesting;
  if (external_data == "deny") {
    load.external_data = LoadOptions::ExternalData::Deny;
  } else if (external_data != "model-dir") {
    if (!is_folder(external_data)) {
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
  session.products = products;
  session.optimize = optimize > 0;
  session.max_memory = max_memory;
  session.max_tensor_bytes = max_tensor;
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

void add_common_options(Options& options, CommonOptions& o) {
  o.threads = threads_from_environment();
  o.max_memory = default_max_memory();
  auto text_option = [&](const char* name, const char* type, const char* help,
                         const std::function<void(const std::string&)>& take) {
    options.add(name, take, help).type_name(type).group("Common options");
  };
  auto option = [&](const char* name, auto& value, const char* type, const char* help) -> Option& {
    return options.add(name, value, help).type_name(type).group("Common options");
  };
  option("--threads", o.threads, "N",
         "threads to use (default: ONNXRUN_NUM_THREADS, else what the machine allows)")
      .check(between(1, 4096));
  options
      .add(
          "--products",
          [&o](const std::string& text) {
            o.products = text == "openblas" ? Products::OpenBlas : Products::Own;
          },
          "what multiplies large matrices: own (default) or openblas, which makes a row's last "
          "bits "
          "depend on its batch")
      .type_name("own|openblas")
      .check(one_of({"own", "openblas"}))
      .group("Common options");
  text_option("--max-memory", "SIZE", "most memory for tensors, e.g. 2G (default: half of all)",
              [&o](const std::string& text) {
                o.max_memory = parse_bytes("--max-memory", text);
                o.is_max_memory_given = true;
              });
  text_option("--max-tensor", "SIZE",
              "most memory for any one tensor (default: no limit of its own)",
              [&o](const std::string& t) { o.max_tensor = parse_bytes("--max-tensor", t); });
  text_option("--timeout", "TIME", "wall time after which the command ends, e.g. 30s",
              [&o](const std::string& t) { o.timeout_seconds = parse_seconds("--timeout", t); });
  option("--max-loop-iterations", o.max_loop_iterations, "N",
         "most iterations of all loops of a run (default: 20000000)")
      .check(at_least(1));
  option("--max-nesting", o.max_nesting, "N",
         "how deep subgraphs and function calls may lie in each other (default: 100)")
      .check(between(1, 1000));
  option(
      "--external-data", o.external_data, "WHERE",
      "where the model's data files may lie: deny, model-dir (default), or a folder, which links "
      "may lead into");
  option("--optimize", o.optimize, "0|1|2",
         "0 runs every node as the file has it (default: 2, everything)")
      .check(between(0, 2));
  text_option("--seed", "N", "of all random numbers (default: 0)",
              [&o](const std::string& text) { o.seed = parse_seed("--seed", text); });
  text_option("--config", "FILE.toml",
              "options in a file, a line each: epochs = 20, data = [\"x.npz\"], no-shuffle = true; "
              "those on the command line count more",
              [](const std::string&) {});
  options
      .add_switch(
          "--print-config", [] {}, "print the options given, as such a file, and do nothing else")
      .group("Common options");
  options.add_switch("--json", o.json, "print one JSON document").group("Common options");
  options
      .add_switch(
          "-v,--verbose", [] { show_messages(LogLevel::Debug); }, "say more")
      .group("Common options");
  options
      .add_switch(
          "-q,--quiet", [] { show_messages(LogLevel::Warning); }, "warnings and errors only")
      .group("Common options");
  text_option("--log-level", "LEVEL", "error, warning, info (default) or debug",
              [](const std::string& text) { set_log_level(text); });
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
  if (bytes >= 9.2e18) fail(ErrorKind::Usage, "{}: {} is more than 64 bits count", option, text);
  return static_cast<int64_t>(bytes);
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

uint64_t parse_seed(std::string_view option, const std::string& text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::Usage, "{}: '{}' is no integer from 0 to {}", option, text, UINT64_MAX);
  }
  return value;
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

void throw_in_context(const std::string& place, const Error& e) {
  bool about_model = e.kind() == ErrorKind::BadModel || e.kind() == ErrorKind::Unsupported ||
                     e.kind() == ErrorKind::BadInput || e.kind() == ErrorKind::Numeric ||
                     e.kind() == ErrorKind::Limit;
  if (!about_model) throw e;
  throw e.in_file(place);
}

}  // namespace onnxrun::tool
