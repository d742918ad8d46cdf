// What goes to standard error.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/one_line.h"
#include "onnxrun/log.h"

namespace onnxrun::tool {

// Of the command's own messages and of what the library has to say.
void show_messages(LogLevel level);
// By name; throws Usage.
void set_log_level(const std::string& name);
bool is_shown(LogLevel level);
// What the library has to say goes the way of the command's own messages.
void show_library_messages();

// A line of standard error, if `level` is shown; control characters in it become \xNN.
void log_line(LogLevel level, std::string_view text);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (is_shown(LogLevel::Info)) {
    log_line(LogLevel::Info, fmt::format(format, std::forward<Args>(args)...));
  }
}

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (is_shown(LogLevel::Debug)) {
    log_line(LogLevel::Debug, fmt::format(format, std::forward<Args>(args)...));
  }
}

// "onnxrun: warning: ..."
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::Warning,
           "onnxrun: warning: " + fmt::format(format, std::forward<Args>(args)...));
}

// "onnxrun: error: ...", always on one line.
void print_error(std::string_view text);

// Writes to standard output. Throws CannotWrite.
void print(std::string_view text);
// What is buffered, too, has arrived. Throws CannotWrite.
void flush_output();

// Progress is shown: standard error is a terminal and messages are wanted.
bool shows_progress();

}  // namespace onnxrun::tool
