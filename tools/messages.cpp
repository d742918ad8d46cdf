#include "messages.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace onnxrun::tool {

static LogLevel shown_level = LogLevel::Info;

void show_messages(LogLevel level) {
  shown_level = level;
  onnxrun::set_log_level(level);
}

void show_library_messages() {
  onnxrun::set_log_sink([](LogLevel level, std::string_view message) {
    if (level == LogLevel::Warning) {
      warn("{}", message);
    } else {
      log_line(level, message);
    }
  });
}

void set_log_level(const std::string& name) {
  if (name == "error") return show_messages(LogLevel::Error);
  if (name == "warning" || name == "warn") return show_messages(LogLevel::Warning);
  if (name == "info") return show_messages(LogLevel::Info);
  if (name == "debug") return show_messages(LogLevel::Debug);
  fail(ErrorKind::Usage, "--log-level: '{}' should be error, warning, info or debug", name);
}

bool is_shown(LogLevel level) { return level >= shown_level; }

void log_line(LogLevel level, std::string_view text) {
  if (!is_shown(level)) return;
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

bool shows_progress() { return is_shown(LogLevel::Info) && isatty(STDERR_FILENO); }

}  // namespace onnxrun::tool
