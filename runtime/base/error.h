// Throwing errors (onnxrun/error.h).
//
// Layers add where they are on the way out, once each: an operator says what is wrong with the
// values, the graph adds operator and node, whoever read the file adds the file.
#pragma once

#include <fmt/core.h>

#include "onnxrun/error.h"

namespace onnxrun {

// Throws Error with a text made by fmt.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace onnxrun
