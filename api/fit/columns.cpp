#include "fit/columns.h"

#include <algorithm>

#include "array_files.h"
#include "base/error.h"
#include "base/name_list.h"
#include "formats/element_text.h"

namespace onnxrun {

namespace {

bool is_column(const Tensor& t) { return t.rank() == 1 && !is_complex(t.dtype()); }

// "'age' ('abc' in row 17)"
std::string text_of(const NamedTensor& column) {
  std::span<const std::string> cells = column.tensor.span<std::string>();
  auto text = std::find_if(cells.begin(), cells.end(), [](const std::string& cell) {
    return kind_of_text(cell) == TextKind::Text;
  });
  if (text == cells.end()) text = cells.begin();
  if (text == cells.end()) return fmt::format("'{}'", column.name);
  return fmt::format("'{}' ('{}' in row {})", column.name, *text, text - cells.begin() + 1);
}

NamedTensor joined(const std::vector<const NamedTensor*>& columns) {
  auto width = static_cast<int64_t>(columns.size());
  int64_t rows = columns.front()->tensor.size();
  Tensor table(DType::Float64, {rows, width});
  std::vector<std::string> names;
  for (int64_t c = 0; c < width; ++c) {
    const NamedTensor& column = *columns[static_cast<size_t>(c)];
    names.push_back(column.name);
    if (column.tensor.size() != rows) {
      fail(ErrorKind::BadInput, "columns '{}' and '{}' have {} and {} rows", columns.front()->name,
           column.name, rows, column.tensor.size());
    }
    std::vector<double> values = to_doubles(column.tensor);
    for (int64_t r = 0; r < rows; ++r) {
      table.data<double>()[r * width + c] = values[static_cast<size_t>(r)];
    }
  }
  return {name_list(names), std::move(table)};
}

}  // namespace

std::optional<NamedTensor> listed_columns(const NamedTensors& arrays, const std::string& key) {
  if (key.find(',') == std::string::npos) return std::nullopt;
  std::vector<const NamedTensor*> columns;
  for (size_t at = 0; at <= key.size();) {
    size_t end = std::min(key.find(',', at), key.size());
    std::string name = key.substr(at, end - at);
    at = end + 1;
    const NamedTensor* column = find_array(arrays, name);
    if (!column) {
      std::vector<std::string> names;
      for (const NamedTensor& a : arrays) names.push_back(a.name);
      fail(ErrorKind::BadInput, "the data have no column '{}'; they have {}", name,
           name_list(names));
    }
    if (column->tensor.dtype() == DType::String && column->tensor.rank() == 1) {
      fail(ErrorKind::BadInput, "column {} holds text where numbers should be", text_of(*column));
    }
    if (!is_column(column->tensor)) {
      fail(ErrorKind::BadInput, "'{}' is {}, no column of numbers", name,
           column->tensor.type_text());
    }
    columns.push_back(column);
  }
  return joined(columns);
}

std::optional<NamedTensor> all_columns(const NamedTensors& arrays,
                                       const std::set<std::string>& taken, const std::string& input,
                                       const Type& type) {
  std::vector<const NamedTensor*> columns;
  std::vector<std::string> names;
  std::string texts;
  for (const NamedTensor& a : arrays) {
    if (taken.count(a.name) > 0 || a.tensor.rank() != 1) continue;
    if (a.tensor.dtype() == DType::String) {
      texts += (texts.empty() ? "; text is in " : ", ") + text_of(a);
    } else if (is_column(a.tensor)) {
      columns.push_back(&a);
      names.push_back(a.name);
    }
  }
  if (columns.empty() || type.rank() < 1 || type.rank() > 2 || type.dtype == DType::String) {
    return std::nullopt;
  }
  const Dim& wanted = type.shape->back();
  if (wanted.is_known() && wanted.value() != static_cast<int64_t>(columns.size())) {
    fail(ErrorKind::BadInput,
         "input '{}' takes {} numbers a sample, but the data have {} columns of numbers: {}{} "
         "(--input {}=COLUMN,COLUMN chooses)",
         input, wanted.value(), columns.size(), name_list(names), texts, input);
  }
  return joined(columns);
}

}  // namespace onnxrun
