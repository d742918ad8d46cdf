#include "base/error.h"

namespace onnxrun {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::BadModel:
      return "bad model";
    case ErrorKind::Unsupported:
      return "unsupported";
    case ErrorKind::BadInput:
      return "bad input";
    case ErrorKind::Numeric:
      return "numeric failure";
    case ErrorKind::Limit:
      return "limit hit";
    case ErrorKind::Timeout:
      return "timeout";
    case ErrorKind::Cancelled:
      return "cancelled";
    case ErrorKind::CannotWrite:
      return "cannot write";
    case ErrorKind::Usage:
      return "usage";
    case ErrorKind::Internal:
      return "internal error";
  }
  return "error";
}

Error Error::in(std::string_view context) const {
  return Error(kind_, fmt::format("{} : {}", context, what()));
}

}  // namespace onnxrun
