#include <utility>

#include "base/error.h"
#include "c/handles.h"

namespace onnxrun::c {

std::vector<std::string> to_names(const char* const* list, size_t count) {
  std::vector<std::string> result;
  for (size_t i = 0; i < count; ++i) {
    need(list, "a list of names");
    result.push_back(need_text(list[i], "a name"));
  }
  return result;
}

void give_names(std::vector<std::string> names, onnxrun_names** handle) {
  if (handle) *handle = std::make_unique<onnxrun_names>(onnxrun_names{std::move(names)}).release();
}

std::vector<std::string> texts_of(const TaskSummary& summary, const std::string& what) {
  if (what == "loss") return {summary.loss};
  if (what == "output") return {summary.output};
  if (what == "notes") return summary.notes;
  if (what == "warnings") return summary.warnings;
  if (what == "metrics") return summary.metrics;
  if (what == "classes") return summary.classes;
  fail(ErrorKind::Usage,
       "there is no text '{}'; there are loss, output, notes, warnings, metrics, classes", what);
}

}  // namespace onnxrun::c

size_t onnxrun_names_count(const onnxrun_names* names) { return names ? names->names.size() : 0; }

const char* onnxrun_names_get(const onnxrun_names* names, size_t index) {
  return names && index < names->names.size() ? names->names[index].c_str() : nullptr;
}

void onnxrun_names_free(onnxrun_names* names) { delete names; }  // NOLINT: a handle of C
