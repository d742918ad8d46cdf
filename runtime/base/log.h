// Messages of the library; onnxrun/log.h says who gets them.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "onnxrun/log.h"

namespace onnxrun {

bool is_logged(LogLevel level);
void log_text(LogLevel level, std::string_view message);

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (is_logged(level)) {
    log_text(level, fmt::format(format, std::forward<Args>(args)...));
  }
}

}  // namespace onnxrun
