#include "formats/csv.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "formats/csv_cells.h"
#include "formats/element_text.h"

namespace onnxrun {

CsvTable::CsvTable(std::string text, MemoryBudget& budget, char separator)
    : text_(std::move(text)) {
  classify(separator);
  allocate(budget);
  fill(separator);
  text_.clear();
  text_.shrink_to_fit();
}

void CsvTable::classify(char separator) {
  Cells cells(text_, separator);
  std::string_view cell;
  if (!cells.next_row()) fail(ErrorKind::BadInput, "the table is empty");
  std::vector<CellKinds> first, rest;
  while (cells.next_cell(cell)) {
    names_.emplace_back(cell);
    first.emplace_back().add(cell);
    if (names_.size() > most_columns) {
      fail(ErrorKind::BadInput, "the table has more than {} columns", most_columns);
    }
  }
  rest.resize(first.size());
  for (; cells.next_row(); ++rows_) {
    size_t count = 0;
    for (; cells.next_cell(cell); ++count) {
      if (count < rest.size()) rest[count].add(cell);
    }
    if (count != rest.size()) {
      fail(ErrorKind::BadInput, "line {} has {} cells where the first row has {}", cells.line(),
           count, rest.size());
    }
  }
  has_header_ = looks_like_header(first, rest);
  rows_ += !has_header_;
  for (size_t c = 0; c < rest.size(); ++c) {
    if (!has_header_) {
      rest[c].add(names_[c]);
      names_[c] = std::to_string(c);
    }
    columns_.push_back({dtype_of_kind(rest[c].kind), {}});
  }
}

void CsvTable::allocate(MemoryBudget& budget) {
  for (Column& column : columns_) {
    bool text = column.dtype == DType::String;
    budget.take(
        text ? rows_ * static_cast<int64_t>(sizeof(std::string)) : bytes_of(column.dtype, rows_),
        "the table");
    column.values = Tensor(column.dtype, {rows_});
  }
}

void CsvTable::fill(char separator) {
  Cells cells(text_, separator);
  std::string_view cell;
  if (has_header_ && cells.next_row()) {
    while (cells.next_cell(cell)) {
    }
  }
  for (int64_t row = 0; cells.next_row(); ++row) {
    for (size_t c = 0; cells.next_cell(cell); ++c) {
      Tensor& values = columns_[c].values;
      if (columns_[c].dtype == DType::String || !is_missing(cell)) {
        set_element(values, row, cell);
        continue;
      }
      set_element(values, row, "0");
      if (columns_[c].missing.empty()) {
        columns_[c].missing =
            fmt::format("line {}, column '{}' is {}; a number should be there", cells.line(),
                        names_[c], is_blank(cell) ? "empty" : fmt::format("'{}'", cell));
      }
    }
  }
}

static size_t find_column(const std::vector<std::string>& names, std::string_view name,
                          std::string_view key) {
  auto it = std::find(names.begin(), names.end(), name);
  if (it != names.end()) return static_cast<size_t>(it - names.begin());
  size_t index = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  bool number = error == std::errc() && end == name.data() + name.size();
  if (!number || index >= names.size()) {
    try {
      fail_unknown_key(std::string(name), names);
    } catch (const Error& e) {
      throw e.in(fmt::format("columns '{}'", key));
    }
  }
  return index;
}

std::vector<size_t> select_columns(const std::vector<std::string>& names, std::string_view key) {
  std::vector<size_t> columns;
  Cells cells(key, ',');
  std::string_view cell;
  cells.next_row();
  while (cells.next_cell(cell)) {
    size_t dots = cell.find("..");
    if (dots == std::string_view::npos || std::count(names.begin(), names.end(), cell) > 0) {
      columns.push_back(find_column(names, cell, key));
      continue;
    }
    size_t first = find_column(names, cell.substr(0, dots), key);
    size_t last = find_column(names, cell.substr(dots + 2), key);
    if (first > last) fail(ErrorKind::BadInput, "columns '{}' run backwards", cell);
    for (size_t c = first; c <= last; ++c) columns.push_back(c);
  }
  if (columns.empty()) fail(ErrorKind::BadInput, "no columns are selected");
  return columns;
}

void CsvTable::check(const std::vector<size_t>& columns) const {
  for (size_t c : columns) {
    if (!columns_[c].missing.empty()) throw Error(ErrorKind::BadInput, columns_[c].missing);
  }
}

NamedTensors CsvTable::arrays(const std::vector<size_t>& columns) const {
  check(columns);
  NamedTensors arrays;
  for (size_t c : columns) arrays.push_back({names_[c], columns_[c].values});
  return arrays;
}

Tensor CsvTable::matrix(const std::vector<size_t>& columns) const {
  check(columns);
  auto text = [&](size_t c) { return columns_[c].dtype == DType::String; };
  auto text_column = std::find_if(columns.begin(), columns.end(), text);
  auto number_column = std::find_if_not(columns.begin(), columns.end(), text);
  if (text_column != columns.end() && number_column != columns.end()) {
    std::span<const std::string> cells = columns_[*text_column].values.span<std::string>();
    auto cell = std::find_if(cells.begin(), cells.end(), [](const std::string& value) {
      return kind_of_text(value) == TextKind::Text;
    });
    if (cell == cells.end()) cell = cells.begin();
    fail(ErrorKind::BadInput,
         "column '{}' holds text{} and column '{}' numbers; select columns of one kind",
         names_[*text_column],
         rows_ > 0 ? fmt::format(" ('{}' in row {})", *cell, cell - cells.begin() + 1) : "",
         names_[*number_column]);
  }
  auto all = [&](DType dtype) {
    return std::all_of(columns.begin(), columns.end(),
                       [&](size_t c) { return columns_[c].dtype == dtype; });
  };
  auto any = [&](DType dtype) {
    return std::any_of(columns.begin(), columns.end(),
                       [&](size_t c) { return columns_[c].dtype == dtype; });
  };
  DType dtype = all(DType::String)    ? DType::String
                : all(DType::Bool)    ? DType::Bool
                : any(DType::Float64) ? DType::Float64
                                      : DType::Int64;
  auto width = static_cast<int64_t>(columns.size());
  Tensor t(dtype, {rows_, width});
  for (int64_t c = 0; c < width; ++c) {
    const Tensor& from = columns_[columns[static_cast<size_t>(c)]].values;
    dispatch<bool, int64_t, double, std::string>(from.dtype(), [&]<typename From>() {
      dispatch<bool, int64_t, double, std::string>(dtype, [&]<typename To>() {
        if constexpr (std::is_convertible_v<From, To>) {
          for (int64_t r = 0; r < rows_; ++r) {
            t.data<To>()[r * width + c] = static_cast<To>(from.data<From>()[r]);
          }
        }
      });
    });
  }
  return t;
}

namespace {

int64_t rows_of(const Tensor& t) { return t.rank() == 0 ? 1 : t.dim(0); }
int64_t columns_of(const Tensor& t) {
  Dims rest(t.dims().begin() + (t.rank() > 0), t.dims().end());
  return element_count(rest);
}

void append_header(std::string& text, const NamedTensors& arrays) {
  for (const NamedTensor& array : arrays) {
    for (int64_t c = 0; c < columns_of(array.tensor); ++c) {
      std::string name = array.name.empty() ? "value" : array.name;
      if (array.tensor.rank() > 1) name += fmt::format("_{}", c);
      text += (text.empty() ? "" : ",") + csv_cell(name);
    }
  }
  text += "\r\n";
}

}  // namespace

std::string csv_cell(std::string text) {
  // A line with nothing on it would be no row.
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  for (size_t i = 0; (i = text.find('"', i)) != std::string::npos; i += 2) text.insert(i, 1, '"');
  return '"' + text + '"';
}

// An array without elements may still have 2^40 rows or columns, of nothing.
static void check_columns(const NamedTensors& arrays) {
  constexpr int64_t max_empty_columns = 1 << 20;
  for (const NamedTensor& array : arrays) {
    if (array.tensor.size() == 0 && columns_of(array.tensor) > max_empty_columns) {
      fail(ErrorKind::CannotWrite, ".csv cannot hold '{}': {} has {} columns without a row",
           array.name, array.tensor.type_text(), columns_of(array.tensor));
    }
  }
}

std::string to_csv(const NamedTensors& arrays) {
  std::string text;
  check_columns(arrays);
  append_header(text, arrays);
  bool any = std::any_of(arrays.begin(), arrays.end(),
                         [](const NamedTensor& array) { return array.tensor.size() > 0; });
  int64_t rows = arrays.empty() ? 0 : rows_of(arrays.front().tensor);
  for (const NamedTensor& array : arrays) {
    if (rows_of(array.tensor) != rows) {
      fail(ErrorKind::CannotWrite, ".csv needs as many rows of each array: '{}' is {}, '{}' is {}",
           arrays.front().name, arrays.front().tensor.type_text(), array.name,
           array.tensor.type_text());
    }
  }
  for (int64_t r = 0; any && r < rows; ++r) {
    bool first = true;
    for (const NamedTensor& array : arrays) {
      int64_t width = columns_of(array.tensor);
      for (int64_t c = 0; c < width; ++c, first = false) {
        text += (first ? "" : ",") + csv_cell(element_text(array.tensor, r * width + c));
      }
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace onnxrun
