#include "plot/log_curves.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/name_list.h"
#include "formats/json.h"
#include "top_classes.h"

namespace onnxrun::tool {

namespace {

// A column of a log: its values, and the rows that they stand in. Where a row has none the curve
// goes on to the next; a value that is no finite number is a gap.
struct Column {
  std::string name;
  std::vector<size_t> rows;
  std::vector<double> values;
};

using Columns = std::vector<Column>;

size_t place_of(const Columns& columns, std::string_view name) {
  auto it =
      std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
  return static_cast<size_t>(it - columns.begin());
}

const Column* find(const Columns& columns, std::string_view name) {
  size_t k = place_of(columns, name);
  return k == columns.size() ? nullptr : &columns[k];
}

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
      size_t k = place_of(columns, name);
      if (k == columns.size()) columns.push_back({name, {}, {}});
      columns[k].rows.push_back(row);
      columns[k].values.push_back(value.number().value_or(std::nan("")));
    }
    ++row;
  }
  return columns;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  std::vector<std::string_view> cells;
  for (size_t comma; (comma = line.find(',')) != std::string_view::npos;) {
    cells.push_back(line.substr(0, comma));
    line.remove_prefix(comma + 1);
  }
  cells.push_back(line);
  return cells;
}

// Cells that are empty or no numbers are not there.
Columns read_csv(const std::string& file) {
  std::vector<std::string> lines = read_lines(file);
  Columns columns;
  for (size_t row = 0; row < lines.size(); ++row) {
    std::vector<std::string_view> cells = cells_of(lines[row]);
    if (row == 0) {
      for (std::string_view name : cells) columns.push_back({std::string(name), {}, {}});
    } else if (cells.size() > columns.size()) {
      fail(ErrorKind::BadInput, "{}: line {} has {} cells, the header has {}", file, row + 1,
           cells.size(), columns.size());
    }
    for (size_t c = 0; row > 0 && c < cells.size(); ++c) {
      double value = 0;
      const char* end = cells[c].data() + cells[c].size();
      if (std::from_chars(cells[c].data(), end, value).ptr != end || cells[c].empty()) continue;
      columns[c].rows.push_back(row);
      columns[c].values.push_back(value);
    }
  }
  return columns;
}

// The values of `x` at the rows of `y`; NaN where it has none.
std::vector<double> at_rows(const Column& x, const Column& y) {
  std::vector<double> values(y.rows.size(), std::nan(""));
  for (size_t i = 0, k = 0; i < values.size(); ++i) {
    while (k < x.rows.size() && x.rows[k] < y.rows[i]) ++k;
    if (k < x.rows.size() && x.rows[k] == y.rows[i]) values[i] = x.values[k];
  }
  return values;
}

std::string names_of(const Columns& columns) {
  std::vector<std::string> names;
  for (const Column& c : columns) names.push_back(c.name);
  return name_list(names);
}

bool ends_in(const std::string& file, std::string_view ending) {
  std::string lower = std::filesystem::path(file).extension().string();
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower == ending;
}

}  // namespace

std::vector<PlotSeries> log_curves(const std::vector<std::string>& files,
                                   const std::vector<std::string>& fields, std::string& x_label) {
  std::vector<PlotSeries> curves;
  x_label = "epoch";
  std::vector<Columns> logs;
  for (const std::string& file : files) {
    logs.push_back(ends_in(file, ".csv") ? read_csv(file) : read_jsonl(file));
    const Column* epochs = find(logs.back(), "epoch");
    bool several = epochs && std::adjacent_find(epochs->values.begin(), epochs->values.end()) !=
                                 epochs->values.end();
    if ((several || !epochs || epochs->values.size() == 1) && find(logs.back(), "step"))
      x_label = "step";
  }
  for (size_t f = 0; f < files.size(); ++f) {
    const Columns& log = logs[f];
    const Column* x = find(log, x_label);
    std::vector<std::string> chosen = fields;
    for (const Column& c : log) {
      if (fields.empty() && c.name.find("loss") != std::string::npos) chosen.push_back(c.name);
    }
    if (!x || chosen.empty()) {
      fail(ErrorKind::BadInput, "{}: a log has '{}' and losses; this has {}", files[f], x_label,
           names_of(log));
    }
    for (const std::string& name : chosen) {
      const Column* y = find(log, name);
      if (!y) {
        fail(ErrorKind::BadInput, "{}: there is no field '{}'; there are {}", files[f], name,
             names_of(log));
      }
      std::string stem = std::filesystem::path(files[f]).stem().string();
      curves.push_back({files.size() > 1 ? stem + " " + name : name, at_rows(*x, *y), y->values});
    }
  }
  return curves;
}

}  // namespace onnxrun::tool
