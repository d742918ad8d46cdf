#include "plot/log_curves.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "common_options.h"
#include "formats/json.h"
#include "formats/source.h"
#include "tensor/byte_source.h"
#include "top_classes.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

// The columns of a log; what a row lacks is NaN.
struct Columns {
  std::vector<std::string> names;
  std::vector<std::vector<double>> values;

  void put(const std::string& name, size_t row, double value) {
    auto it = std::find(names.begin(), names.end(), name);
    auto k = static_cast<size_t>(it - names.begin());
    if (it == names.end()) {
      names.push_back(name);
      values.emplace_back();
    }
    values[k].resize(row, std::nan(""));
    values[k].push_back(value);
  }
  const std::vector<double>* find(const std::string& name) const {
    auto it = std::find(names.begin(), names.end(), name);
    return it == names.end() ? nullptr : &values[static_cast<size_t>(it - names.begin())];
  }
};

Columns read_jsonl(const std::string& file) {
  Columns columns;
  size_t row = 0;
  for (const std::string& line : read_lines(file)) {
    if (line.empty()) continue;
    std::optional<Json> object = Json::parse(line);
    if (!object || !object->members()) {
      fail(ErrorKind::BadInput, "{}: line {} is no JSON object", file, row + 1);
    }
    for (const auto& [name, value] : *object->members()) {
      columns.put(name, row, value.number().value_or(std::nan("")));
    }
    ++row;
  }
  for (std::vector<double>& v : columns.values) v.resize(row, std::nan(""));
  return columns;
}

Columns read_csv(const std::string& file, int64_t max_memory) {
  Columns columns;
  for (const NamedTensor& a : read_arrays(file, read_options(max_memory))) {
    if (a.tensor.dtype() == DType::String || a.tensor.rank() != 1) continue;
    columns.names.push_back(a.name);
    columns.values.push_back(to_doubles(a.tensor));
  }
  return columns;
}

bool ends_in(const std::string& file, std::string_view ending) {
  std::string lower = std::filesystem::path(file).extension().string();
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower == ending;
}

}  // namespace

std::vector<PlotSeries> log_curves(const std::vector<std::string>& files,
                                   const std::vector<std::string>& fields, int64_t max_memory,
                                   std::string& x_label) {
  std::vector<PlotSeries> curves;
  x_label = "epoch";
  std::vector<Columns> logs;
  for (const std::string& file : files) {
    logs.push_back(ends_in(file, ".csv") ? read_csv(file, max_memory) : read_jsonl(file));
    const std::vector<double>* epochs = logs.back().find("epoch");
    bool one = !epochs || std::all_of(epochs->begin(), epochs->end(),
                                      [&](double e) { return e == epochs->front(); });
    if (one && logs.back().find("step")) x_label = "step";
  }
  for (size_t f = 0; f < files.size(); ++f) {
    const Columns& log = logs[f];
    const std::vector<double>* x = log.find(x_label);
    std::vector<std::string> chosen = fields;
    for (const std::string& name : log.names) {
      if (fields.empty() && name.find("loss") != std::string::npos) chosen.push_back(name);
    }
    if (!x || chosen.empty()) {
      fail(ErrorKind::BadInput, "{}: a log has '{}' and losses; this has {}", files[f], x_label,
           name_list(log.names));
    }
    for (const std::string& name : chosen) {
      const std::vector<double>* y = log.find(name);
      if (!y) {
        fail(ErrorKind::BadInput, "{}: there is no field '{}'; there are {}", files[f], name,
             name_list(log.names));
      }
      std::string stem = std::filesystem::path(files[f]).stem().string();
      curves.push_back({files.size() > 1 ? stem + " " + name : name, *x, *y});
    }
  }
  return curves;
}

}  // namespace onnxrun::tool
