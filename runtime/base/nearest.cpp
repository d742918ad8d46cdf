#include "base/nearest.h"

#include <algorithm>
#include <cctype>

namespace onnxrun {

std::string nearest(const std::string& name, const std::vector<std::string>& names) {
  auto distance = [](const std::string& a, const std::string& b) {
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      row[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
          row[j] = std::min(row[j], before[j - 2] + 1);
        }
      }
      before.swap(last);
      last.swap(row);
    }
    return last[b.size()];
  };
  auto folded = [](std::string text) {
    for (char& c : text) c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
    return text;
  };
  std::string best;
  size_t least = name.size() / 3 + 1;
  for (const std::string& candidate : names) {
    size_t d = distance(folded(name), folded(candidate));
    // What was cut short is meant, too.
    if (candidate.starts_with(folded(name)) && folded(name).size() > 3) d = std::min<size_t>(d, 1);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace onnxrun
