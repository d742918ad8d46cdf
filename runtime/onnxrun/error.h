// Errors that reach a user: a kind that programs can test, one line of text for people, and where
// it happened as fields.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

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

// A place that an error came by on its way out.
struct ErrorFrame {
  enum class Kind {
    File,   // a model or data file: its path as given
    Node,   // a node of a graph: its name, and its operator ("Conv", "ai.onnx.ml.Scaler")
    Input,  // an input of the model, or one that was fed: its name
    Place,  // anything else, in words
  };
  Kind kind = Kind::Place;
  std::string name;
  std::string op = {};
};

// what() is "FILE: OP node 'NAME' : input 'NAME' message", as much of it as there is, the outermost
// place first.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message);

  ErrorKind kind() const { return kind_; }
  // What is wrong, without the places.
  const std::string& message() const { return message_; }
  // From the innermost place outwards.
  const std::vector<ErrorFrame>& frames() const { return frames_; }
  // Of the innermost frame of its kind; "" if there is none.
  std::string file() const { return find(ErrorFrame::Kind::File).name; }
  std::string node() const { return find(ErrorFrame::Kind::Node).name; }
  std::string op() const { return find(ErrorFrame::Kind::Node).op; }
  std::string input() const { return find(ErrorFrame::Kind::Input).name; }

  // The same error, one place further out.
  Error in(ErrorFrame frame) const;
  Error in(std::string place) const {
    return in(ErrorFrame{ErrorFrame::Kind::Place, std::move(place)});
  }
  // The same error under another kind.
  Error as(ErrorKind kind) const { return Error(kind, message_, frames_); }
  // In a file, unless a file is named already.
  Error in_file(const std::string& path) const;

 private:
  Error(ErrorKind kind, std::string message, std::vector<ErrorFrame> frames);
  ErrorFrame find(ErrorFrame::Kind kind) const;

  ErrorKind kind_;
  std::string message_;
  std::vector<ErrorFrame> frames_;
};

}  // namespace onnxrun
