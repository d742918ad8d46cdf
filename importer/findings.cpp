#include "findings.h"

#include <algorithm>
#include <array>

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

// Messages are sentences of one form, "WHERE is FOUND, expected EXPECTED": the words between the
// two and the words before what was found.
constexpr std::array before_expected = {", expected ",
                                        ", allowed: ",
                                        ", allowed are ",
                                        ", known are ",
                                        "; known are ",
                                        " is imported, the newest known is ",
                                        ", but is declared ",
                                        ", type and shape need ",
                                        ", the type and shape need "};
constexpr std::array before_found = {" is ", ": found ", " are ", " has "};

// A sentence of the other order: "value 'y' is declared EXPECTED, but is FOUND".
constexpr std::string_view declared = "' is declared ", but_is = ", but is ";

static void split_message(Finding& finding) {
  const std::string_view text = finding.error.message();
  const size_t declaration = text.find(declared), truth = text.rfind(but_is);
  if (declaration != text.npos && truth != text.npos && declaration < truth) {
    const size_t begin = declaration + declared.size();
    finding.expected = text.substr(begin, truth - begin);
    finding.found = text.substr(truth + but_is.size());
    return;
  }
  for (std::string_view words : before_expected) {
    const size_t end = text.rfind(words);
    if (end == text.npos) continue;
    size_t begin = 0;
    for (std::string_view before : before_found) {
      const size_t at = text.substr(0, end).rfind(before);
      if (at != text.npos) begin = std::max(begin, at + before.size());
    }
    finding.found = text.substr(begin, end - begin);
    finding.expected = text.substr(end + words.size());
    return;
  }
}

void Findings::note(const Error& error) {
  // Without a run there is no input to be wrong: what does not fit is the model.
  Error e = error.kind() == ErrorKind::BadInput ? error.as(ErrorKind::BadModel) : error;
  if (e.kind() != ErrorKind::BadModel && e.kind() != ErrorKind::Unsupported) throw Error(e);
  add({Severity::Error, e.kind() == ErrorKind::BadModel ? "invalid" : "unsupported", e});
}

void Findings::add(Finding finding) {
  if (list_.size() > most_findings) return;
  if (finding.found.empty() && finding.expected.empty()) split_message(finding);
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
