#include "sets/table_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/csv.h"
#include "formats/csv_cells.h"

namespace onnxrun {

namespace {

constexpr int64_t piece_bytes = 1 << 20, longest_row = 64 << 20;

struct TableIndex {
  std::vector<int64_t> rows;  // where each begins, and where the last one ends
  bool has_header = false;
  std::vector<std::string> names;
  std::vector<CellKinds> kinds;
  // What is wrong with the first cell without a number, and with the first one that is text.
  std::vector<std::string> missing, text;
};

// Reads a table from front to back, a piece at a time.
class Scan {
 public:
  Scan(DataFile file, char separator) : file_(std::move(file)), separator_(separator) {}

  TableIndex run() {
    int64_t wanted = piece_bytes;
    while (offset_ < file_.size()) {
      int64_t length = std::min(wanted, file_.size() - offset_);
      MemoryBudget budget(length);
      std::string piece = file_.text(offset_, length, budget);
      bool is_last = offset_ + length == file_.size();
      size_t used = take_rows(piece, is_last, length >= longest_row);
      offset_ += static_cast<int64_t>(used);
      // A row that is longer than the piece.
      wanted = used == 0 ? 2 * wanted : piece_bytes;
      if (is_last) break;
    }
    if (!has_first_) fail(ErrorKind::BadInput, "the table is empty");
    settle_header();
    index_.rows.push_back(file_.size());
    return std::move(index_);
  }

 private:
  // How many bytes of the piece are whole rows.
  size_t take_rows(std::string_view piece, bool is_last, bool is_longest) {
    Cells cells(piece, separator_, line_);
    size_t used = 0;
    try {
      while (cells.next_row()) {
        std::vector<std::string> row;
        std::string_view cell;
        while (cells.next_cell(cell)) {
          row.emplace_back(cell);
          if (row.size() > most_columns) {
            fail(ErrorKind::BadInput, "the table has more than {} columns", most_columns);
          }
        }
        if (cells.position() >= piece.size() && !is_last) break;
        take_row(row, offset_ + static_cast<int64_t>(cells.row_start()), cells.line());
        used = cells.position();
        line_ = cells.next_line();
      }
    } catch (const Error&) {
      // What looks wrong at the end of a piece may go on in the next one.
      if (is_last || is_longest || used_is_wrong_) throw;
    }
    if (is_longest && used == 0 && !is_last) {
      fail(ErrorKind::BadInput, "line {} is longer than {} bytes", line_, longest_row);
    }
    return used;
  }

  void take_row(const std::vector<std::string>& row, int64_t start, int64_t line) {
    if (!has_first_) {
      has_first_ = true;
      index_.names = row;
      first_.resize(row.size());
      index_.kinds.resize(row.size());
      index_.missing.resize(row.size());
      index_.text.resize(row.size());
      for (size_t c = 0; c < row.size(); ++c) first_[c].add(row[c]);
      first_start_ = start;
      return;
    }
    if (row.size() != index_.names.size()) {
      used_is_wrong_ = true;
      fail(ErrorKind::BadInput, "line {} has {} cells where the first row has {}", line, row.size(),
           index_.names.size());
    }
    for (size_t c = 0; c < row.size(); ++c) take_cell(c, row[c], line);
    index_.rows.push_back(start);
  }

  void take_cell(size_t c, const std::string& cell, int64_t line) {
    index_.kinds[c].add(cell);
    if (is_missing(cell)) {
      note(index_.missing[c], c, cell, line);
    } else if (kind_of_text(cell) == TextKind::Text || kind_of_text(cell) == TextKind::Complex) {
      note(index_.text[c], c, cell, line);
    }
  }

  void note(std::string& what, size_t c, const std::string& cell, int64_t line) const {
    if (!what.empty()) return;
    what = fmt::format("line {}, column '{}' is {}; a number should be there", line,
                       index_.names[c], is_blank(cell) ? "empty" : fmt::format("'{}'", cell));
  }

  void settle_header() {
    index_.has_header = looks_like_header(first_, index_.kinds);
    if (index_.has_header) return;
    index_.rows.insert(index_.rows.begin(), first_start_);
    for (size_t c = 0; c < index_.names.size(); ++c) {
      std::string cell = std::exchange(index_.names[c], std::to_string(c));
      index_.kinds[c].add(cell);
      if (!is_missing(cell)) continue;
      index_.missing[c].clear();
      note(index_.missing[c], c, cell, 1);
    }
  }

  DataFile file_;
  char separator_;
  int64_t offset_ = 0, line_ = 1, first_start_ = 0;
  bool has_first_ = false, used_is_wrong_ = false;
  std::vector<CellKinds> first_;
  TableIndex index_;
};

DType dtype_of(const TableIndex& index, const std::vector<size_t>& columns) {
  bool all_bool = true, any_real = false;
  for (size_t c : columns) {
    TextKind kind = index.kinds[c].kind;
    if (!index.kinds[c].seen && !index.missing[c].empty()) {
      throw Error(ErrorKind::BadInput, index.missing[c]);
    }
    if (kind == TextKind::Text) {
      fail(ErrorKind::BadInput, "{}",
           index.text[c].empty() ? fmt::format("column '{}' holds no numbers", index.names[c])
                                 : index.text[c]);
    }
    if (!index.missing[c].empty()) throw Error(ErrorKind::BadInput, index.missing[c]);
    all_bool &= kind == TextKind::Bool;
    any_real |= kind == TextKind::Real;
  }
  return all_bool ? DType::Bool : any_real ? DType::Float64 : DType::Int64;
}

Dims dims_of(const TableIndex& index, const std::vector<size_t>& columns, bool selected) {
  auto rows = static_cast<int64_t>(index.rows.size()) - 1;
  bool one = selected && columns.size() == 1;
  return one ? Dims{rows} : Dims{rows, static_cast<int64_t>(columns.size())};
}

class TableSamples final : public SampleReader {
 public:
  TableSamples(DataFile file, TableIndex index, std::vector<size_t> columns, bool selected,
               char separator)
      : SampleReader(dtype_of(index, columns), dims_of(index, columns, selected)),
        file_(std::move(file)),
        rows_(std::move(index.rows)),
        columns_(std::move(columns)),
        separator_(separator) {
    places_.resize(index.names.size());
    for (size_t k = 0; k < columns_.size(); ++k) places_[columns_[k]].push_back(k);
    for (const CellKinds& kinds : index.kinds) bools_.push_back(kinds.kind == TextKind::Bool);
  }

  void read(std::span<const int64_t> samples, Tensor& out) const override {
    auto width = static_cast<int64_t>(columns_.size());
    for (size_t k = 0; k < samples.size();) {
      size_t run = 1;
      while (k + run < samples.size() && samples[k + run] == samples[k] + static_cast<int64_t>(run))
        ++run;
      int64_t begin = rows_[static_cast<size_t>(samples[k])],
              end = rows_[static_cast<size_t>(samples[k]) + run];
      // Line numbers of a piece mean nothing: the table was read before.
      std::string text = file_.record(begin, end - begin);
      Cells cells(text, separator_, 2);
      for (size_t row = 0; row < run; ++row) take_row(cells, out, (k + row) * width);
      k += run;
    }
  }

 private:
  void take_row(Cells& cells, Tensor& out, int64_t at) const {
    std::string_view cell;
    size_t c = 0;
    bool there = cells.next_row();
    for (; there && cells.next_cell(cell); ++c) {
      if (c >= places_.size()) break;
      // true and false count as 1 and 0 beside numbers.
      if (bools_[c]) cell = cell.find_first_of("tT") != std::string_view::npos ? "1" : "0";
      for (size_t place : places_[c]) set_element(out, at + static_cast<int64_t>(place), cell);
    }
    if (c != places_.size()) {
      fail(ErrorKind::BadInput, "the table is not what it was when it was opened");
    }
  }

  DataFile file_;
  std::vector<int64_t> rows_;
  std::vector<size_t> columns_;
  std::vector<std::vector<size_t>> places_;  // among the selected ones, of each column
  std::vector<bool> bools_;                  // which columns hold true and false
  char separator_;
};

}  // namespace

std::shared_ptr<const SampleReader> open_table(DataFile file, const std::string& key,
                                               char separator) {
  TableIndex index = Scan(file, separator).run();
  std::vector<size_t> columns;
  if (key.empty()) {
    for (size_t c = 0; c < index.names.size(); ++c) columns.push_back(c);
  } else {
    columns = select_columns(index.names, key);
  }
  return std::make_shared<TableSamples>(std::move(file), std::move(index), std::move(columns),
                                        !key.empty(), separator);
}

}  // namespace onnxrun
