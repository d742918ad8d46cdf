#include "formats/inline.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "formats/element_text.h"
#include "formats/utf8.h"

namespace onnxrun {

namespace {

constexpr size_t deepest = 32;
constexpr std::string_view blanks = " \t\r\n";

// The part of `text` before ':' if it names a type.
DType type_prefix(std::string_view& text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return DType::Undefined;
  DType dtype = dtype_from_name(text.substr(0, colon));
  if (dtype != DType::Undefined) text.remove_prefix(colon + 1);
  return dtype;
}

struct Leaf {
  std::string text;
  size_t position;
  bool quoted;
};

class Parser {
 public:
  Parser(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  void parse() {
    value(0);
    if (next() != '\0' || at_ < text_.size()) bad("the end expected");
  }
  const std::vector<Leaf>& leaves() const { return leaves_; }
  const Dims& dims() const { return lengths_; }

 private:
  [[noreturn]] void bad(std::string_view what) const { bad_at(at_, what); }
  [[noreturn]] void bad_at(size_t position, std::string_view what) const {
    fail(ErrorKind::BadInput, "character {} of the array: {}", offset_ + position + 1, what);
  }

  char next() {
    at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void value(size_t depth) {
    if (next() == '[') {
      list(depth);
      return;
    }
    if (lengths_.size() != depth) bad("ragged: a value where other places have a list");
    leaf_seen_ = true;
    leaves_.push_back(leaf());
  }

  void list(size_t depth) {
    size_t start = at_++;
    if (depth >= deepest) bad(fmt::format("more than {} lists in each other", deepest));
    if (lengths_.size() == depth) {
      if (leaf_seen_) bad_at(start, "ragged: a list where other places have a value");
      lengths_.push_back(-1);
    }
    int64_t count = 0;
    while (next() != ']') {
      if (count > 0 && next() != ',') bad("',' or ']' expected");
      if (count > 0) ++at_;
      value(depth + 1);
      ++count;
    }
    ++at_;
    if (lengths_[depth] >= 0 && lengths_[depth] != count) {
      bad_at(start,
             fmt::format("ragged: a list of {} where others have {}", count, lengths_[depth]));
    }
    lengths_[depth] = count;
  }

  Leaf leaf() {
    size_t start = at_;
    char c = next();
    if (c == '"' || c == '\'') return {quoted(c), start, true};
    size_t end = std::min(text_.find_first_of(" \t\r\n,[]", at_), text_.size());
    if (end == at_) bad("a value expected");
    at_ = end;
    return {std::string(text_.substr(start, end - start)), start, false};
  }

  std::string quoted(char quote) {
    std::string value;
    size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\') {
        escape(value);
      } else {
        value.push_back(c);
      }
    }
    if (at_ >= text_.size()) bad_at(start, "this string does not end");
    ++at_;
    return value;
  }

  void escape(std::string& value) {
    constexpr std::string_view names = "\"'\\/bfnrt", meanings = "\"'\\/\b\f\n\r\t";
    char c = at_ < text_.size() ? text_[at_++] : '\0';
    size_t i = names.find(c);
    if (c == 'u') {
      char32_t unit = hex4();
      bool pair = unit >= 0xd800 && unit < 0xdc00 && text_.substr(at_, 2) == "\\u";
      if (pair) {
        at_ += 2;
        char32_t low = hex4();
        if (low < 0xdc00 || low > 0xdfff) bad("half a surrogate pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
      }
      if (!append_utf8(value, unit)) bad("no such character");
    } else if (i != std::string_view::npos && c != '\0') {
      value.push_back(meanings[i]);
    } else {
      bad("an unknown escape");
    }
  }

  char32_t hex4() {
    char32_t unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      constexpr std::string_view digits = "0123456789abcdef";
      char c = at_ < text_.size() ? static_cast<char>(text_[at_] | 0x20) : '\0';
      size_t digit = digits.find(c);
      if (digit == std::string_view::npos) bad("four hexadecimal digits expected");
      unit = unit << 4 | static_cast<char32_t>(digit);
    }
    return unit;
  }

  std::string_view text_;
  size_t offset_;
  size_t at_ = 0;
  Dims lengths_;
  bool leaf_seen_ = false;
  std::vector<Leaf> leaves_;
};

DType widest(const std::vector<Leaf>& leaves) {
  if (leaves.empty()) return DType::Float64;
  TextKind kind = TextKind::Bool;
  for (const Leaf& leaf : leaves) {
    kind = std::max(kind, leaf.quoted ? TextKind::Text : kind_of_text(leaf.text));
  }
  return dtype_of_kind(kind);
}

}  // namespace

bool is_inline(std::string_view text) {
  if (text.empty()) return false;
  if (text[0] == '[' || text[0] == '"' || text[0] == '\'') return true;
  std::string_view rest = text;
  return type_prefix(rest) != DType::Undefined || kind_of_text(text) != TextKind::Text;
}

Tensor parse_inline(std::string_view text, DType dtype) {
  std::string_view body = text;
  DType prefix = type_prefix(body);
  Parser parser(body, text.size() - body.size());
  parser.parse();
  if (prefix != DType::Undefined) dtype = prefix;
  if (dtype == DType::Undefined) dtype = widest(parser.leaves());
  Tensor t(dtype, parser.dims());
  if (t.bytes() > 0) std::fill_n(t.raw(), t.bytes(), std::byte{0});
  for (size_t i = 0; i < parser.leaves().size(); ++i) {
    const Leaf& leaf = parser.leaves()[i];
    try {
      if (leaf.quoted && dtype != DType::String) {
        fail(ErrorKind::BadInput, "the string '{}' is no {}", leaf.text, to_string(dtype));
      }
      set_element(t, static_cast<int64_t>(i), leaf.text);
    } catch (const Error& e) {
      size_t position = text.size() - body.size() + leaf.position + 1;
      fail(e.kind(), "character {} of the array: {}", position, e.what());
    }
  }
  return t;
}

}  // namespace onnxrun
