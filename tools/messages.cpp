#include "messages.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "onnxrun/log.h"

namespace onnxrun::tool {

static LogLevel shown = LogLevel::Info;

static onnxrun::LogLevel to_library(LogLevel level) {
  switch (level) {
    case LogLevel::Error:
      return onnxrun::LogLevel::Error;
    case LogLevel::Warning:
      return onnxrun::LogLevel::Warning;
    case LogLevel::Info:
      return onnxrun::LogLevel::Info;
    case LogLevel::Debug:
      break;
  }
  return onnxrun::LogLevel::Debug;
}

void set_log_level(LogLevel level) {
  shown = level;
  onnxrun::set_log_level(to_library(level));
}

void show_library_messages() {
  onnxrun::set_log_sink([](onnxrun::LogLevel level, std::string_view message) {
    if (level == onnxrun::LogLevel::Warning) {
      warn("{}", message);
    } else {
      log_line(level == onnxrun::LogLevel::Debug ? LogLevel::Debug : LogLevel::Info, message);
    }
  });
}

void set_log_level(const std::string& name) {
  if (name == "error") return set_log_level(LogLevel::Error);
  if (name == "warning" || name == "warn") return set_log_level(LogLevel::Warning);
  if (name == "info") return set_log_level(LogLevel::Info);
  if (name == "debug") return set_log_level(LogLevel::Debug);
  fail(ErrorKind::Usage, "--log-level: '{}' should be error, warning, info or debug", name);
}

bool is_logged(LogLevel level) { return level <= shown; }

void log_line(LogLevel level, std::string_view text) {
  if (!is_logged(level)) return;
  std::string line = without_controls(text) + '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print_error(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  log_line(LogLevel::Error, "onnxrun: error: " + line);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    fail(ErrorKind::CannotWrite, "standard output: {}", std::strerror(errno));
  }
}

void flush_output() {
  if (std::fflush(stdout) != 0) {
    fail(ErrorKind::CannotWrite, "standard output: {}", std::strerror(errno));
  }
}

bool shows_progress() { return is_logged(LogLevel::Info) && isatty(STDERR_FILENO); }

}  // namespace onnxrun::tool
