#include "top_classes.h"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "formats/print.h"

namespace onnxrun::tool {

TopClasses top_classes(const std::pair<std::string, RuntimeValue>& output, int64_t k) {
  const auto& [name, value] = output;
  bool numeric = value.is_tensor() && value.tensor.dtype() != DType::String &&
                 !is_complex(value.tensor.dtype());
  if (!numeric || value.tensor.rank() == 0) {
    fail(ErrorKind::BadInput, "--top: output '{}' is {} and has no classes", name,
         value.is_tensor() ? value.tensor.type_text() : "no tensor");
  }
  int64_t classes = value.tensor.dim(value.tensor.rank() - 1);
  std::vector<double> scores = to_doubles(value.tensor);
  TopClasses top;
  if (classes == 0) return top;
  k = std::min(k, classes);
  std::vector<int64_t> order(static_cast<size_t>(classes));
  for (auto row = scores.begin(); row != scores.end(); row += classes) {
    std::iota(order.begin(), order.end(), 0);
    // Equal scores keep the order of the classes; NaN comes last.
    auto key = [&](int64_t c) { return row[c] == row[c] ? row[c] : -INFINITY; };
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
      return key(a) != key(b) ? key(a) > key(b) : a < b;
    });
    std::vector<TopClasses::Entry> entries;
    for (int64_t i = 0; i < k; ++i) {
      int64_t c = order[static_cast<size_t>(i)];
      entries.push_back({c, row[c]});
    }
    top.samples.push_back(std::move(entries));
  }
  return top;
}

static std::string label_of(const std::vector<std::string>& labels, int64_t index) {
  if (labels.empty()) return std::to_string(index);
  if (index >= static_cast<int64_t>(labels.size())) {
    fail(ErrorKind::BadInput, "--labels: class {} has no label, there are {}", index,
         labels.size());
  }
  return labels[static_cast<size_t>(index)];
}

std::string TopClasses::to_text(const std::vector<std::string>& labels) const {
  std::string text;
  for (size_t s = 0; s < samples.size(); ++s) {
    if (samples.size() > 1) text += fmt::format("sample {}:\n", s);
    for (const Entry& e : samples[s]) {
      text += fmt::format("{:>12.6g}  {}\n", e.score, label_of(labels, e.index));
    }
  }
  return text;
}

std::string TopClasses::to_json(const std::vector<std::string>& labels) const {
  std::string rows;
  for (const std::vector<Entry>& entries : samples) {
    std::string row;
    for (const Entry& e : entries) {
      row += fmt::format("{}{{\"class\": {}, \"score\": {}", row.empty() ? "" : ", ", e.index,
                         json_number(e.score));
      if (!labels.empty()) row += ", \"label\": " + json_string(label_of(labels, e.index));
      row += "}";
    }
    rows += (rows.empty() ? "\n  [" : ",\n  [") + row + "]";
  }
  return "{\"schema\": \"onnxrun.run/1\", \"top\": [" + rows + "\n]}\n";
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(file, line)) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  if (!file.eof() || (!file.is_open())) fail(ErrorKind::BadInput, "{}: it cannot be read", path);
  return lines;
}

}  // namespace onnxrun::tool
