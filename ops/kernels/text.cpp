#include "kernels/text.h"

#include <clocale>
#include <cwctype>

#include "base/error.h"

namespace onnxrun {

namespace {

[[noreturn]] void fail_utf8(std::string_view text) {
  fail(ErrorKind::BadInput, "a text of {} bytes is not UTF-8", text.size());
}

void append(std::string& text, char32_t c) {
  auto byte = [&](char32_t v) { text.push_back(static_cast<char>(static_cast<uint8_t>(v))); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xC0 | (c >> 6));
  } else {
    if (c < 0x10000) {
      byte(0xE0 | (c >> 12));
    } else {
      byte(0xF0 | (c >> 18));
      byte(0x80 | ((c >> 12) & 0x3F));
    }
    byte(0x80 | ((c >> 6) & 0x3F));
  }
  byte(0x80 | (c & 0x3F));
}

// The C library's tables of Unicode, which every machine has under this name; the process's own
// locale stays what it is.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (!locale) fail(ErrorKind::Unsupported, "the system has no locale C.UTF-8");
  return locale;
}

template <typename F>
std::string mapped(std::string_view text, const F& f) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    append(result, static_cast<char32_t>(f(static_cast<wint_t>(next_character(text, at)))));
  }
  return result;
}

}  // namespace

char32_t next_character(std::string_view text, size_t& at) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t first = byte(at++);
  if (first < 0x80) return first;
  size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < more) fail_utf8(text);
  char32_t c = first & (0x3F >> more);
  for (size_t i = 0; i < more; ++i) {
    if ((byte(at) & 0xC0) != 0x80) fail_utf8(text);
    c = (c << 6) | (byte(at++) & 0x3F);
  }
  bool surrogate = c >= 0xD800 && c < 0xE000;
  bool longer = (more == 2 && c < 0x800) || (more == 3 && c < 0x10000);
  if (surrogate || longer || c > 0x10FFFF) fail_utf8(text);
  return c;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string in_lower_case(std::string_view text) {
  return mapped(text, [](wint_t c) { return towlower_l(c, unicode()); });
}

std::string in_upper_case(std::string_view text) {
  return mapped(text, [](wint_t c) { return towupper_l(c, unicode()); });
}

}  // namespace onnxrun
