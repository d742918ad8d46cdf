// Exit codes: a contract with scripts.
#pragma once

#include "base/error.h"

namespace onnxrun::tool {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;  // a comparison, test, check or threshold
inline constexpr int exit_usage = 2;
inline constexpr int exit_bad_model = 3;
inline constexpr int exit_unsupported = 4;
inline constexpr int exit_bad_input = 5;
inline constexpr int exit_numeric = 6;
inline constexpr int exit_limit = 7;
inline constexpr int exit_cannot_write = 8;
inline constexpr int exit_internal = 70;
inline constexpr int exit_timeout = 124;
inline constexpr int exit_interrupted = 130;

inline int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::BadModel:
      return exit_bad_model;
    case ErrorKind::Unsupported:
      return exit_unsupported;
    case ErrorKind::BadInput:
      return exit_bad_input;
    case ErrorKind::Numeric:
      return exit_numeric;
    case ErrorKind::Limit:
      return exit_limit;
    case ErrorKind::Timeout:
      return exit_timeout;
    case ErrorKind::Cancelled:
      return exit_interrupted;
    case ErrorKind::CannotWrite:
      return exit_cannot_write;
    case ErrorKind::Usage:
      return exit_usage;
    case ErrorKind::Internal:
      return exit_internal;
  }
  return exit_internal;
}

}  // namespace onnxrun::tool
