#include "base/name_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace onnxrun {

std::string name_list(const std::vector<std::string>& names, size_t limit) {
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), limit); ++i) {
    text += (i ? ", '" : "'") + names[i] + "'";
  }
  if (names.size() > limit) text += fmt::format(" and {} more", names.size() - limit);
  return text;
}

}  // namespace onnxrun
