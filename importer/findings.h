// What is wrong with a model or unusual in it: all of it, as the checker wants it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "onnxrun/error.h"

namespace onnxrun {

enum class Severity : uint8_t {
  Error,    // this library does not take the model
  Warning,  // it is taken, but other programs may not, or it is likely not what was meant
  Note,     // worth knowing
};
// "error", "warning", "note".
std::string_view to_string(Severity severity);

struct Finding {
  Severity severity = Severity::Error;
  std::string rule;  // a short name that stays: "invalid", "unused-initializer"
  // What is wrong, and where. Only of an Error does the kind say something.
  Error error;
  // What stands there, and what should: where the message says both ("... is FOUND, expected
  // EXPECTED" or one of its like), "" elsewhere. Set by whoever adds the finding, or by Findings.
  std::string found = {}, expected = {};
};

class Findings {
 public:
  // Notes an error. Throws it again if going on makes no sense: a limit, an end that was asked for,
  // our own fault.
  void note(const Error& error);
  void add(Finding finding);

  const std::vector<Finding>& all() const { return list_; }
  size_t count() const { return list_.size(); }
  bool has_errors() const;

 private:
  std::vector<Finding> list_;
  std::set<std::pair<std::string, std::string>> seen_;  // rule and text
};

}  // namespace onnxrun
