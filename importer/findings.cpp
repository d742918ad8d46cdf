#include "findings.h"

#include <algorithm>

namespace onnxrun {

// A file can be wrong in as many ways as it has bytes.
static constexpr size_t most_findings = 10'000;

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "error";
    case Severity::Warning:
      return "warning";
    case Severity::Note:
      return "note";
  }
  return "";
}

void Findings::note(const Error& error) {
  // Without a run there is no input to be wrong: what does not fit is the model.
  Error e = error.kind() == ErrorKind::BadInput ? error.as(ErrorKind::BadModel) : error;
  if (e.kind() != ErrorKind::BadModel && e.kind() != ErrorKind::Unsupported) throw Error(e);
  add({Severity::Error, e.kind() == ErrorKind::BadModel ? "invalid" : "unsupported", e});
}

void Findings::add(Finding finding) {
  if (list_.size() > most_findings) return;
  if (list_.size() == most_findings) {
    std::string text = "there are more than " + std::to_string(most_findings) + " findings";
    list_.push_back({Severity::Error, "invalid", Error(ErrorKind::BadModel, text)});
    return;
  }
  if (seen_.emplace(finding.rule, finding.error.what()).second) list_.push_back(std::move(finding));
}

bool Findings::has_errors() const {
  return std::any_of(list_.begin(), list_.end(),
                     [](const Finding& f) { return f.severity == Severity::Error; });
}

}  // namespace onnxrun
