// Results of many cases as text, JSON and XML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "case_runner.h"

namespace onnxrun::tool {

std::string_view status_name(CaseResult::Status status);
int64_t count(const std::vector<CaseResult>& results, CaseResult::Status status);

// "3 passed, 1 failed, 0 skipped"
std::string summary(const std::vector<CaseResult>& results);
// {passed, failed, skipped, cases: [{name, status, seconds, message}]}
std::string to_json(const std::vector<CaseResult>& results);
std::string to_junit(const std::vector<CaseResult>& results);

}  // namespace onnxrun::tool
