#include "test_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"

namespace onnxrun::tool {

using Status = CaseResult::Status;

std::string_view status_name(Status status) {
  switch (status) {
    case Status::Passed:
      return "passed";
    case Status::Failed:
      return "failed";
    case Status::Skipped:
      return "skipped";
  }
  return "";
}

int64_t count(const std::vector<CaseResult>& results, Status status) {
  return std::count_if(results.begin(), results.end(),
                       [&](const CaseResult& r) { return r.status == status; });
}

std::string summary(const std::vector<CaseResult>& results) {
  return fmt::format("{} passed, {} failed, {} skipped", count(results, Status::Passed),
                     count(results, Status::Failed), count(results, Status::Skipped));
}

std::string to_json(const std::vector<CaseResult>& results) {
  Json cases = Json::array();
  for (const CaseResult& r : results) {
    cases.push_back({{"name", r.name},
                     {"status", status_name(r.status)},
                     {"seconds", r.seconds},
                     {"message", r.message}});
  }
  Json doc = {{"schema", "onnxrun.test/1"},
              {"passed", count(results, Status::Passed)},
              {"failed", count(results, Status::Failed)},
              {"skipped", count(results, Status::Skipped)},
              {"cases", cases}};
  return doc.text();
}

// XML 1.0 has no control characters but tab and line breaks.
static std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return out;
}

std::string to_junit(const std::vector<CaseResult>& results) {
  double seconds = 0;
  for (const CaseResult& r : results) seconds += r.seconds;
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"onnxrun\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n",
      results.size(), count(results, Status::Failed), count(results, Status::Skipped), seconds);
  for (const CaseResult& r : results) {
    xml += fmt::format("  <testcase classname=\"onnxrun\" name=\"{}\" time=\"{:.3f}\"",
                       escaped(r.name), r.seconds);
    if (r.status == Status::Passed) {
      xml += "/>\n";
      continue;
    }
    xml += fmt::format("><{0} message=\"{1}\"/></testcase>\n",
                       r.status == Status::Failed ? "failure" : "skipped", escaped(r.message));
  }
  return xml + "</testsuite>\n";
}

}  // namespace onnxrun::tool
