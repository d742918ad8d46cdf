#include "formats/utf8.h"

#include <bit>
#include <cstdint>

namespace onnxrun {

namespace {

bool exists(char32_t c) { return c < 0xd800 || (c > 0xdfff && c <= 0x10ffff); }

// How many continuation bytes a first byte announces; -1 for a byte that cannot be first.
int continuation_bytes(uint8_t first) {
  int ones = std::countl_one(first);
  return ones == 0 ? 0 : ones >= 2 && ones <= 4 ? ones - 1 : -1;
}

}  // namespace

bool decode_utf8(std::string_view text, std::u32string& out) {
  constexpr char32_t smallest[] = {0, 0x80, 0x800, 0x10000};
  out.clear();
  for (size_t i = 0; i < text.size();) {
    auto first = static_cast<uint8_t>(text[i++]);
    int more = continuation_bytes(first);
    if (more < 0 || text.size() - i < static_cast<size_t>(more)) return false;
    char32_t c = more == 0 ? first : first & (0x3f >> more);
    for (int k = 0; k < more; ++k) {
      auto next = static_cast<uint8_t>(text[i++]);
      if ((next & 0xc0) != 0x80) return false;
      c = c << 6 | (next & 0x3f);
    }
    if (!exists(c) || c < smallest[more]) return false;
    out.push_back(c);
  }
  return true;
}

bool append_utf8(std::string& text, char32_t c) {
  if (!exists(c)) return false;
  int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
  text.push_back(static_cast<char>(lead[more] | c >> (6 * more)));
  while (more-- > 0) text.push_back(static_cast<char>(0x80 | (c >> (6 * more) & 0x3f)));
  return true;
}

}  // namespace onnxrun
