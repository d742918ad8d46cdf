// Errors that reach a user: a kind that programs can test and one line of text for people.
//
// Layers add context on the way out, once each: an operator says what is wrong with the values, the
// graph adds operator and node, the command adds the file.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace onnxrun {

enum class ErrorKind {
  BadModel,     // the model file is unreadable or breaks the standard
  Unsupported,  // an operator, opset, type or option this build does not have
  BadInput,     // data or arguments that do not fit the model
  Numeric,      // NaN or infinity where a finite number is needed
  Limit,        // a limit on memory, iterations or nesting was hit
  Timeout,      // the wall-clock limit was hit
  Cancelled,    // another thread asked for an end
  CannotWrite,  // an output could not be written
  Usage,        // the caller's arguments contradict each other
  Internal,     // our own fault
};

// "bad model", "unsupported", ... as messages and JSON spell it.
std::string_view to_string(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}

  ErrorKind kind() const { return kind_; }

  // The same error with `context` and " : " before its text.
  Error in(std::string_view context) const;

 private:
  ErrorKind kind_;
};

// Throws Error with a text made by fmt.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace onnxrun
