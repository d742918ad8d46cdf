// Options that all commands share, and readers of option values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/name_list.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"
#include "options.h"

namespace onnxrun::tool {

struct CommonOptions {
  int threads = 0;
  Products products = Products::Own;
  // Unless given, half of what there is: the other half is for what is not counted.
  int64_t max_memory = INT64_MAX;
  bool is_max_memory_given = false;
  int64_t max_tensor = INT64_MAX;
  std::optional<double> timeout_seconds;
  int64_t max_loop_iterations = 20'000'000;
  int max_nesting = 100;
  std::string external_data = "model-dir";
  int optimize = 2;
  uint64_t seed = 0;
  bool json = false;

  LoadOptions load_options() const;
  SessionOptions session_options() const;
};

// Also sets what messages are shown (messages.h).
void add_common_options(Options& options, CommonOptions& values);

// "2G", "512M", "1.5GiB", "100000": bytes. Throws Usage naming the option.
int64_t parse_bytes(std::string_view option, const std::string& text);
// "30s", "500ms", "2m", "1h", "0.5": seconds. This and the readers below throw as parse_bytes().
double parse_seconds(std::string_view option, const std::string& text);
// "3", "-1e-3", "1/255".
double parse_number(std::string_view option, const std::string& text);
// From 0 to 2^64 - 1.
uint64_t parse_seed(std::string_view option, const std::string& text);
int64_t parse_integer(std::string_view option, const std::string& text);
// "NAME=REST" cut at the first '='.
std::pair<std::string, std::string> parse_assignment(std::string_view option,
                                                     const std::string& text);
// "a,b,c" without empty pieces.
std::vector<std::string> split_list(std::string_view text, char separator = ',');

// Throws `e` again, naming `place` if it is about the model and its data and does not yet.
[[noreturn]] void throw_in_context(const std::string& place, const Error& e);
// Calls f(); errors about the model and its data that it throws name `place` (a file, an option).
template <typename F>
decltype(auto) in_context(const std::string& place, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    throw_in_context(place, e);
  }
}

}  // namespace onnxrun::tool
