// What readers of tables share: cells, kinds of columns, headers.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/element_text.h"

namespace onnxrun {

inline constexpr size_t most_columns = 1 << 20;

// Hands out the cells of a text one by one.
class Cells {
 public:
  // `line` is the number of the text's first line.
  Cells(std::string_view text, char separator, int64_t line = 1)
      : text_(text), separator_(separator), line_(line), row_line_(line) {
    if (line == 1 && text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  // Moves to the next row that is not empty; false at the end.
  bool next_row() {
    while (at_ < text_.size() && take_line_end()) {
    }
    in_row_ = at_ < text_.size();
    row_line_ = line_;
    row_start_ = at_;
    return in_row_;
  }
  // The next cell of the row, without its quotes; valid until the next call. False after the last.
  bool next_cell(std::string_view& cell) {
    if (!in_row_) return false;
    cell = at_ < text_.size() && text_[at_] == '"' ? quoted() : plain();
    if (at_ < text_.size() && text_[at_] == separator_) {
      ++at_;
    } else if (at_ >= text_.size() || take_line_end()) {
      in_row_ = false;
    } else {
      fail(ErrorKind::BadInput, "line {}: text follows a quoted cell", line_);
    }
    return true;
  }
  int64_t line() const { return row_line_; }
  // Where the row begins, and where what was read ends.
  size_t row_start() const { return row_start_; }
  size_t position() const { return at_; }
  int64_t next_line() const { return line_; }

 private:
  bool take_line_end() {
    size_t length = text_[at_] == '\n' ? 1 : text_.substr(at_, 2) == "\r\n" ? 2 : 0;
    at_ += length;
    line_ += length > 0;
    return length > 0;
  }

  std::string_view plain() {
    size_t start = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n') ++at_;
    bool crlf = at_ < text_.size() && text_[at_] == '\n' && at_ > start && text_[at_ - 1] == '\r';
    if (crlf) --at_;
    return text_.substr(start, at_ - start);
  }

  std::string_view quoted() {
    int64_t first_line = line_;
    unquoted_.clear();
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && (++at_ >= text_.size() || text_[at_] != '"')) return unquoted_;
      line_ += text_[at_] == '\n';
      unquoted_.push_back(text_[at_]);
    }
    fail(ErrorKind::BadInput, "line {}: a quote is never closed", first_line);
  }

  std::string_view text_;
  char separator_;
  size_t at_ = 0, row_start_ = 0;
  int64_t line_, row_line_;
  bool in_row_ = false;
  std::string unquoted_;
};

inline bool is_blank(std::string_view cell) {
  return cell.find_first_not_of(" \t") == std::string_view::npos;
}

// What programs write where a number is missing.
inline bool is_missing(std::string_view cell) {
  if (is_blank(cell)) return true;
  size_t begin = cell.find_first_not_of(" \t"), end = cell.find_last_not_of(" \t") + 1;
  std::string text(cell.substr(begin, end - begin));
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::string_view none : {"na", "n/a", "#n/a", "null", "none", "?", "-"}) {
    if (text == none) return true;
  }
  return false;
}

// The narrowest kind that holds all cells that were added.
struct CellKinds {
  bool seen = false;  // a cell that is not missing
  TextKind kind = TextKind::Text;

  void add(std::string_view cell) {
    // These wait for the other rows to say whether text or a number is missing.
    if (is_missing(cell) || (seen && kind == TextKind::Text)) return;
    TextKind k = kind_of_text(cell);
    if (k == TextKind::Complex) k = TextKind::Text;
    // Nothing but text holds both true and 2.
    bool mixed = seen && k != kind && std::min(k, kind) == TextKind::Bool;
    kind = mixed ? TextKind::Text : seen ? std::max(k, kind) : k;
    seen = true;
  }
};

// Of the kinds of the first row and of the rest.
inline bool looks_like_header(const std::vector<CellKinds>& first,
                              const std::vector<CellKinds>& rest) {
  bool all_text = true, above_numbers = false;
  for (size_t c = 0; c < first.size(); ++c) {
    bool text = first[c].kind == TextKind::Text;
    all_text &= text;
    above_numbers |= text && first[c].seen && rest[c].kind != TextKind::Text;
  }
  return all_text || above_numbers;
}

}  // namespace onnxrun
