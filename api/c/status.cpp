#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/error.h"
#include "c/handles.h"
#include "onnxrun/log.h"

namespace onnxrun::c {

namespace {

struct Failure {
  std::string text, file, node, op, input;
};

Failure& last_failure() {
  thread_local Failure failure;
  return failure;
}

onnxrun_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::BadModel:
      return ONNXRUN_BAD_MODEL;
    case ErrorKind::Unsupported:
      return ONNXRUN_UNSUPPORTED;
    case ErrorKind::BadInput:
      return ONNXRUN_BAD_INPUT;
    case ErrorKind::Numeric:
      return ONNXRUN_NUMERIC;
    case ErrorKind::Limit:
      return ONNXRUN_LIMIT;
    case ErrorKind::Timeout:
      return ONNXRUN_TIMEOUT;
    case ErrorKind::Cancelled:
      return ONNXRUN_CANCELLED;
    case ErrorKind::CannotWrite:
      return ONNXRUN_CANNOT_WRITE;
    case ErrorKind::Usage:
      return ONNXRUN_USAGE;
    case ErrorKind::Internal:
      break;
  }
  return ONNXRUN_INTERNAL;
}

}  // namespace

onnxrun_status keep_failure() noexcept {
  try {
    try {
      throw;
    } catch (const Error& e) {
      last_failure() = {e.what(), e.file(), e.node(), e.op(), e.input()};
      return status_of(e.kind());
    } catch (const std::bad_alloc&) {
      last_failure() = {"there is not enough memory", "", "", "", ""};
      return ONNXRUN_LIMIT;
    } catch (const std::exception& e) {
      last_failure() = {e.what(), "", "", "", ""};
      return ONNXRUN_INTERNAL;
    }
  } catch (...) {
    return ONNXRUN_INTERNAL;
  }
}

std::string need_text(const char* text, const char* what) { return &need(text, what); }

}  // namespace onnxrun::c

using onnxrun::c::last_failure;

onnxrun_status onnxrun_set_log(onnxrun_log_sink sink, void* user, int32_t level) {
  return onnxrun::c::guarded([&] {
    if (level < 0 || level > 3) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "the log level is {}, expected 0 to 3", level);
    }
    onnxrun::set_log_level(static_cast<onnxrun::LogLevel>(level));
    if (!sink) return onnxrun::set_log_sink({});
    onnxrun::set_log_sink([sink, user](onnxrun::LogLevel at, std::string_view message) {
      sink(static_cast<int32_t>(at), std::string(message).c_str(), user);
    });
  });
}

int32_t onnxrun_abi_version() { return ONNXRUN_ABI_VERSION; }
const char* onnxrun_version() { return ONNXRUN_VERSION; }
const char* onnxrun_error() { return last_failure().text.c_str(); }
const char* onnxrun_error_file() { return last_failure().file.c_str(); }
const char* onnxrun_error_node() { return last_failure().node.c_str(); }
const char* onnxrun_error_operator() { return last_failure().op.c_str(); }
const char* onnxrun_error_input() { return last_failure().input.c_str(); }
