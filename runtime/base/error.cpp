#include "base/error.h"

#include "base/one_line.h"

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

static std::string text_of(const std::string& message, const std::vector<ErrorFrame>& frames) {
  std::string text = message;
  for (const ErrorFrame& frame : frames) {
    switch (frame.kind) {
      case ErrorFrame::Kind::File:
        text = fmt::format("{}: {}", frame.name, text);
        break;
      case ErrorFrame::Kind::Node:
        text = fmt::format("{} node '{}' : {}", frame.op, frame.name, text);
        break;
      case ErrorFrame::Kind::Input:
        text = fmt::format("input '{}' {}", frame.name, text);
        break;
      case ErrorFrame::Kind::Place:
        text = fmt::format("{} : {}", frame.name, text);
        break;
    }
  }
  return text;
}

Error::Error(ErrorKind kind, std::string message) : Error(kind, std::move(message), {}) {}

Error::Error(ErrorKind kind, std::string message, std::vector<ErrorFrame> frames)
    : std::runtime_error(without_controls(text_of(message, frames))),
      kind_(kind),
      message_(std::move(message)),
      frames_(std::move(frames)) {}

ErrorFrame Error::find(ErrorFrame::Kind kind) const {
  for (const ErrorFrame& frame : frames_) {
    if (frame.kind == kind) return frame;
  }
  return {kind, "", ""};
}

Error Error::in(ErrorFrame frame) const {
  std::vector<ErrorFrame> frames = frames_;
  frames.push_back(std::move(frame));
  return Error(kind_, message_, std::move(frames));
}

Error Error::in_file(const std::string& path) const {
  return file().empty() ? in(ErrorFrame{ErrorFrame::Kind::File, path}) : *this;
}

}  // namespace onnxrun
