#include "passes/export_marks.h"

#include <algorithm>

namespace onnxrun {

std::vector<ModuleTensor> module_tensors(const Graph& graph) {
  constexpr std::string_view signature_key = "pkg.torch.export.ExportedProgram.graph_signature";
  constexpr std::string_view mark = " target='";
  std::vector<ModuleTensor> tensors;
  if (!graph.source) return tensors;
  auto it = graph.source->metadata.find(signature_key);
  if (it == graph.source->metadata.end()) return tensors;
  std::string_view text = it->second;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    size_t colon = line.find(": "), target = line.find(mark), end = line.rfind('\'');
    if (colon == line.npos || target == line.npos || target <= colon) continue;
    size_t first = target + mark.size();
    if (end < first) continue;
    std::string_view kind = line.substr(colon + 2, target - colon - 2);
    kind = kind.substr(0, kind.find(' '));
    tensors.push_back({std::string(line.substr(0, colon)), std::string(kind),
                       std::string(line.substr(first, end - first))});
  }
  return tensors;
}

std::vector<std::string> quoted_names(const std::string& list) {
  std::vector<std::string> names;
  for (size_t at = list.find('\''); at != std::string::npos; at = list.find('\'', at + 1)) {
    size_t end = list.find('\'', at + 1);
    if (end == std::string::npos) break;
    names.push_back(list.substr(at + 1, end - at - 1));
    at = end;
  }
  return names;
}

std::vector<std::string> call_arguments(const std::string& call) {
  constexpr std::string_view mark = "(args = (";
  std::vector<std::string> list;
  size_t at = call.find(mark);
  if (at == std::string::npos) return list;
  int depth = 0;
  std::string piece;
  for (char c : call.substr(at + mark.size())) {
    bool closes = c == ')' || c == ']';
    if ((c == ',' || closes) && depth == 0) {
      list.push_back(piece);
      piece.clear();
      if (closes) break;
      continue;
    }
    depth += (c == '(' || c == '[') - closes;
    if (c != ' ' || !piece.empty()) piece += c;
  }
  return list;
}

std::vector<std::string> argument_names(const std::string& call) {
  std::vector<std::string> names;
  for (const std::string& piece : call_arguments(call)) {
    for (size_t at = piece.find('%'); at != std::string::npos; at = piece.find('%', at + 1)) {
      size_t end = piece.find_first_of(" ,)]", at);
      names.push_back(piece.substr(at + 1, end == std::string::npos ? end : end - at - 1));
    }
  }
  return names;
}

std::set<std::string> stored_names(const Graph& graph) {
  std::set<std::string> names;
  for (const auto& [id, init] : graph.initializers) {
    const Value& value = graph.value(id);
    names.insert(value.name);
    for (std::string& n : quoted_names(metadata_of(value, export_mark::folded_from))) {
      names.insert(std::move(n));
    }
  }
  return names;
}

std::string metadata_of(const Value& value, std::string_view key) {
  auto it = value.metadata.find(std::string(key));
  return it == value.metadata.end() ? "" : it->second;
}

}  // namespace onnxrun
