// Comma-separated values (RFC 4180).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/byte_source.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// The places of the columns in "a,c" or "2,0" or "a..d": names or numbers from 0, with ranges of
// them; a name with a comma is quoted as in the file. Throws BadInput naming the columns there are.
std::vector<size_t> select_columns(const std::vector<std::string>& names, std::string_view key);

// A table of equally long rows. Cells may be quoted, with "" for a quote and line breaks inside;
// rows end with LF or CRLF; empty lines and a byte-order mark do not count. The first row is a
// header if it has no number at all, or has text above a column of numbers.
//
// A column of only true and false becomes bool, of only integers int64, of only numbers double, any
// other string. A cell of a column of numbers that is empty, or says that nothing is there (NA,
// N/A, null, none, ?, -), is an error where the column is asked for ("nan" is a number).
class CsvTable {
 public:
  // Throws BadInput naming line and column.
  CsvTable(std::string text, MemoryBudget& budget, char separator = ',');

  int64_t rows() const { return rows_; }
  bool has_header() const { return has_header_; }
  // As the header has them, else "0", "1", ...
  const std::vector<std::string>& names() const { return names_; }

  std::vector<size_t> select(std::string_view key) const { return select_columns(names_, key); }

  // One array of [rows] for each of `columns`, under its name. Throws BadInput for a cell that is
  // missing.
  NamedTensors arrays(const std::vector<size_t>& columns) const;
  // One array of [rows, columns]: bool, int64 or double, the widest of its columns, or string if
  // all are. Throws BadInput for text beside numbers, naming a cell.
  Tensor matrix(const std::vector<size_t>& columns) const;

 private:
  struct Column {
    DType dtype = DType::Undefined;
    Tensor values;
    std::string missing = {};  // what is wrong with the first cell that has no number
  };
  void classify(char separator);
  void allocate(MemoryBudget& budget);
  void fill(char separator);
  void check(const std::vector<size_t>& columns) const;

  std::string text_;
  int64_t rows_ = 0;
  bool has_header_ = false;
  std::vector<std::string> names_;
  std::vector<Column> columns_;
};

// `text` as a cell, in quotes where it needs them.
std::string csv_cell(std::string text);

// One row for each index of the first axis (one row for scalars), under a header. An array of rank
// 0 or 1 is a column of its name; others fill columns NAME_0, NAME_1, ... in row-major order.
// Throws CannotWrite if the first axes differ.
std::string to_csv(const NamedTensors& arrays);

}  // namespace onnxrun
