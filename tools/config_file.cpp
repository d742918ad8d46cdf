#include "config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>

#include "base/error.h"
#include "formats/json.h"
#include "formats/utf8.h"

namespace onnxrun::tool {

namespace {

bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  std::vector<ConfigEntry> run() {
    while (skip_lines(), at_ < text_.size()) {
      if (text_[at_] == '[') {
        section_ = table();
      } else {
        entry();
      }
      end_line();
    }
    return std::move(entries_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> text, Args&&... args) const {
    fail(ErrorKind::Usage, "line {}: {}", line_, fmt::format(text, std::forward<Args>(args)...));
  }

  bool at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    if (at_ < text_.size() && text_[at_] == '#')
      at_ = std::min(text_.find('\n', at_), text_.size());
  }

  bool take_line_end() {
    size_t length = at("\n") ? 1 : at("\r\n") ? 2 : 0;
    at_ += length;
    line_ += length > 0;
    return length > 0;
  }

  void skip_lines() {
    skip_blanks();
    while (take_line_end()) skip_blanks();
  }

  void end_line() {
    skip_blanks();
    if (at_ < text_.size() && !take_line_end()) wrong("'{}' was not expected", rest());
  }

  std::string rest() const {
    return std::string(
        text_.substr(at_, std::min<size_t>(text_.find_first_of("\r\n", at_) - at_, 20)));
  }

  std::string table() {
    ++at_;
    if (at("[")) wrong("lists of tables are not read");
    skip_blanks();
    std::string name = key();
    skip_blanks();
    if (!at("]")) wrong("a table's name ends in ]");
    ++at_;
    return name;
  }

  std::string key() {
    if (at("\"") || at("'")) return string();
    size_t begin = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    if (begin == at_) wrong("'{}' is no key", rest());
    return std::string(text_.substr(begin, at_ - begin));
  }

  void entry() {
    ConfigEntry entry{.section = section_, .name = key(), .line = line_};
    std::replace(entry.name.begin(), entry.name.end(), '_', '-');
    skip_blanks();
    if (!at("=")) wrong("'{}' should be followed by = and a value", entry.name);
    ++at_;
    skip_blanks();
    if (at("[")) {
      array(entry);
    } else {
      value(entry);
    }
    if (!seen_.emplace(entry.section, entry.name).second) wrong("'{}' stands twice", entry.name);
    entries_.push_back(std::move(entry));
  }

  void array(ConfigEntry& entry) {
    ++at_;
    skip_lines();
    while (!at("]")) {
      value(entry);
      skip_lines();
      if (at(",")) {
        ++at_;
        skip_lines();
      } else if (!at("]")) {
        wrong("elements of a list are parted by commas");
      }
    }
    ++at_;
    entry.is_boolean = false;
  }

  void value(ConfigEntry& entry) {
    if (at("\"") || at("'")) {
      entry.values.push_back(string());
      return;
    }
    size_t begin = at_;
    while (at_ < text_.size() && (is_bare(text_[at_]) || text_[at_] == '.' || text_[at_] == '+')) {
      ++at_;
    }
    std::string word(text_.substr(begin, at_ - begin));
    entry.is_boolean = word == "true" || word == "false";
    if (!entry.is_boolean && !is_number(word)) {
      at_ = begin;
      wrong("'{}' is no value; text stands in quotes", rest());
    }
    std::erase(word, '_');
    entry.values.push_back(std::move(word));
  }

  static bool is_number(std::string word) {
    std::erase(word, '_');
    if (word.starts_with('+')) word.erase(0, 1);
    double value = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return !word.empty() && error == std::errc() && end == word.data() + word.size();
  }

  std::string string() {
    char quote = text_[at_++];
    if (text_.substr(at_, 2) == std::string(2, quote)) wrong("text of several lines is not read");
    std::string result;
    for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        return result;
      }
      if (quote == '"' && text_[at_] == '\\') {
        escape(result);
      } else {
        result.push_back(text_[at_]);
      }
    }
    wrong("a quote is never closed");
  }

  // Leaves off at the last character of it.
  void escape(std::string& to) {
    char c = ++at_ < text_.size() ? text_[at_] : '\n';
    constexpr std::string_view names = "btnfr\"\\", values = "\b\t\n\f\r\"\\";
    size_t k = names.find(c);
    if (k != std::string_view::npos) return to.push_back(values[k]);
    size_t length = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::string_view digits = text_.substr(std::min(at_ + 1, text_.size()), length);
    uint32_t code = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    bool ok = length > 0 && digits.size() == length && error == std::errc() &&
              end == digits.data() + digits.size() && append_utf8(to, code);
    if (!ok) wrong("'\\{}' means nothing in quotes", c == '\n' ? ' ' : c);
    at_ += length;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::string section_;
  std::vector<ConfigEntry> entries_;
  std::set<std::pair<std::string, std::string>> seen_;
};

std::string value_text(const std::string& value) {
  double number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  bool bare = error == std::errc() && end == value.data() + value.size() &&
              value.find_first_not_of("0123456789+-.eE") == std::string::npos &&
              !value.ends_with('.') && !value.starts_with('.');
  // JSON's strings are TOML's, too.
  return bare ? value : json_string(value);
}

}  // namespace

std::vector<ConfigEntry> parse_config(std::string_view text) { return Parser(text).run(); }

std::string config_text(const std::vector<ConfigEntry>& entries) {
  std::string text;
  for (const ConfigEntry& entry : entries) {
    std::string list;
    for (const std::string& value : entry.values) {
      list += (list.empty() ? "" : ", ") + (entry.is_boolean ? value : value_text(value));
    }
    bool one = entry.values.size() == 1;
    text += one ? fmt::format("{} = {}\n", entry.name, list)
                : fmt::format("{} = [{}]\n", entry.name, list);
  }
  return text;
}

}  // namespace onnxrun::tool
