#include "formats/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "formats/utf8.h"

namespace onnxrun {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t longest_npy_header = 1 << 16;
constexpr size_t highest_rank = 64;

struct NumpyType {
  std::string_view code;  // without byte order
  DType dtype;
};

// A name is used both ways; of several codes for one type the first is written.
constexpr std::array<NumpyType, 27> numpy_types = {{
    {"f4", DType::Float32},
    {"f8", DType::Float64},
    {"f2", DType::Float16},
    {"i1", DType::Int8},
    {"i2", DType::Int16},
    {"i4", DType::Int32},
    {"i8", DType::Int64},
    {"u1", DType::UInt8},
    {"u2", DType::UInt16},
    {"u4", DType::UInt32},
    {"u8", DType::UInt64},
    {"b1", DType::Bool},
    {"?", DType::Bool},
    {"c8", DType::Complex64},
    {"c16", DType::Complex128},
    {"V2", DType::BFloat16},
    {"bfloat16", DType::BFloat16},
    {"float8_e4m3fn", DType::Float8E4M3FN},
    {"float8_e4m3fnuz", DType::Float8E4M3FNUZ},
    {"float8_e5m2", DType::Float8E5M2},
    {"float8_e5m2fnuz", DType::Float8E5M2FNUZ},
    {"float8_e8m0fnu", DType::Float8E8M0},
    {"float32", DType::Float32},
    {"float64", DType::Float64},
    {"float16", DType::Float16},
    {"int64", DType::Int64},
    {"bool", DType::Bool},
}};

struct Header {
  std::string descr;
  bool fortran_order = false;
  Dims shape;
};

// The Python literal of a dictionary that numpy.lib.format writes and nothing more general.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Header parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        header.descr = descr_value();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        bad(fmt::format("unexpected key '{}'", key));
      }
      if (!take(',') && peek() != '}') bad("',' or '}' expected");
    }
    if (peek() != '\0' || at_ < text_.size()) bad("text after the dictionary");
    if (!descr || !order || !shape) bad("'descr', 'fortran_order' and 'shape' expected");
    return header;
  }

 private:
  [[noreturn]] void bad(std::string_view what) const {
    fail(ErrorKind::BadInput, "the .npy header is malformed at byte {}: {}", at_, what);
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) bad(fmt::format("'{}' expected", c));
  }
  bool take_word(std::string_view word) {
    peek();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  std::string string() {
    char quote = peek();
    if (quote != '\'' && quote != '"') bad("a string expected");
    size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) bad("a string does not end");
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  std::string descr_value() {
    if (peek() == '[') fail(ErrorKind::BadInput, "arrays of records are not read");
    return string();
  }
  bool boolean() {
    if (take_word("True")) return true;
    if (!take_word("False")) bad("True or False expected");
    return false;
  }
  int64_t integer() {
    peek();
    int64_t value = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) bad("a length expected");
    at_ = static_cast<size_t>(end - text_.data());
    if (value < 0) fail(ErrorKind::BadInput, "the .npy shape has a negative length {}", value);
    (void)take('L');  // Python 2 marked its long integers so
    return value;
  }
  Dims tuple() {
    Dims dims;
    expect('(');
    while (!take(')')) {
      dims.push_back(integer());
      if (dims.size() > highest_rank) bad(fmt::format("more than {} axes", highest_rank));
      if (!take(',') && peek() != ')') bad("',' or ')' expected");
    }
    return dims;
  }

  std::string_view text_;
  size_t at_ = 0;
};

Header read_header(ByteStream& stream) {
  std::string start = stream.read_text(8);
  if (start.compare(0, magic.size(), magic) != 0) {
    fail(ErrorKind::BadInput, "this is no .npy array: it does not begin with \\x93NUMPY");
  }
  int version = start[6];
  if (version < 1 || version > 3) {
    fail(ErrorKind::BadInput, ".npy version {} is not known; 1 to 3 are", version);
  }
  std::string length_bytes = stream.read_text(version == 1 ? 2 : 4);
  int64_t length = version == 1 ? load_integer<uint16_t>(length_bytes.data(), std::endian::little)
                                : load_integer<uint32_t>(length_bytes.data(), std::endian::little);
  if (length > longest_npy_header) {
    fail(ErrorKind::BadInput, "the .npy header claims {} bytes; at most {} are read", length,
         longest_npy_header);
  }
  return HeaderParser(stream.read_text(length)).parse();
}

struct ElementType {
  DType dtype = DType::Undefined;
  std::endian order = std::endian::native;
  int64_t length = 0;    // of strings, in characters
  bool unicode = false;  // 'U', else 'S'
};

std::endian byte_order(std::string_view& code) {
  if (code.empty() || std::string_view("<>=|").find(code[0]) == std::string_view::npos) {
    return std::endian::native;
  }
  char mark = code[0];
  code.remove_prefix(1);
  return mark == '<' ? std::endian::little : mark == '>' ? std::endian::big : std::endian::native;
}

ElementType element_type(const std::string& descr) {
  ElementType type;
  std::string_view code = descr;
  type.order = byte_order(code);
  for (const NumpyType& t : numpy_types) {
    if (code == t.code) type.dtype = t.dtype;
  }
  if (type.dtype != DType::Undefined) return type;
  if (!code.empty() && (code[0] == 'U' || code[0] == 'S')) {
    auto [end, error] = std::from_chars(code.data() + 1, code.data() + code.size(), type.length);
    if (error == std::errc() && end == code.data() + code.size() && type.length >= 0) {
      type.dtype = DType::String;
      type.unicode = code[0] == 'U';
      return type;
    }
  }
  if (code == "O" || code.starts_with("O")) {
    fail(ErrorKind::BadInput, "arrays of Python objects are not read; save numbers or strings");
  }
  fail(ErrorKind::BadInput, "element type '{}' is not read; numbers, bool and strings are", descr);
}

std::string decode_string(const char* bytes, const ElementType& type) {
  std::string text;
  if (!type.unicode) {
    text.assign(bytes, static_cast<size_t>(type.length));
  } else {
    for (int64_t i = 0; i < type.length; ++i) {
      auto c = load_integer<uint32_t>(bytes + 4 * i, type.order);
      if (!append_utf8(text, c)) fail(ErrorKind::BadInput, "a string has no character {:#x}", c);
    }
  }
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

Tensor read_strings(ByteStream& stream, const ElementType& type, const Dims& dims,
                    MemoryBudget& budget) {
  int64_t count = element_count(dims), bytes = 0, width = type.length * (type.unicode ? 4 : 1);
  if (type.length > longest_npy_header * longest_npy_header ||
      __builtin_mul_overflow(count, width, &bytes) || bytes > stream.upper_bound()) {
    fail(ErrorKind::BadInput, "{} strings of {} characters are longer than the data", count,
         type.length);
  }
  int64_t objects = 0;
  if (__builtin_mul_overflow(count, static_cast<int64_t>(sizeof(std::string)), &objects)) {
    fail(ErrorKind::Limit, "{} strings are too many", count);
  }
  budget.take(objects, "the array of strings");
  budget.take(bytes, "the array of strings");
  std::string packed = stream.read_text(bytes);
  Tensor t(DType::String, dims);
  for (int64_t i = 0; i < count; ++i) {
    t.data<std::string>()[i] = decode_string(packed.data() + i * width, type);
  }
  return t;
}

// Calls move(i, k) for each element: i counts with the first axis fastest, k with the last.
template <typename Move>
void for_each_transposed(const Tensor& t, const Move& move) {
  if (t.size() == 0) return;
  const Dims& dims = t.dims();
  std::array<int64_t, highest_rank> strides{1}, index{};
  for (size_t d = 1; d < dims.size(); ++d) strides[d] = strides[d - 1] * dims[d - 1];
  int64_t i = 0;
  for (int64_t k = 0; k < t.size(); ++k) {
    move(i, k);
    for (size_t d = dims.size(); d-- > 0;) {
      i += strides[d];
      if (++index[d] < dims[d]) break;
      i -= strides[d] * dims[d];
      index[d] = 0;
    }
  }
}

Tensor to_row_major(const Tensor& from, MemoryBudget& budget) {
  budget.take(from.bytes(), "the array");
  Tensor to(from.dtype(), from.dims());
  if (from.dtype() == DType::String) {
    for_each_transposed(from, [&](int64_t i, int64_t k) {
      to.data<std::string>()[k] = from.data<std::string>()[i];
    });
    return to;
  }
  int64_t width = bits_of(from.dtype()) / 8;
  for_each_transposed(from, [&](int64_t i, int64_t k) {
    std::memcpy(to.raw() + k * width, from.raw() + i * width, static_cast<size_t>(width));
  });
  return to;
}

}  // namespace

std::optional<ArrayPlace> npy_place(ByteStream& stream) {
  Header header = read_header(stream);
  ElementType type = element_type(header.descr);
  bool apart = header.fortran_order && header.shape.size() > 1;
  if (type.dtype == DType::String || apart) return std::nullopt;
  return ArrayPlace{type.dtype, header.shape, 0, type.order};
}

Tensor read_npy(ByteStream& stream, MemoryBudget& budget) {
  Header header = read_header(stream);
  ElementType type = element_type(header.descr);
  Tensor t = type.dtype == DType::String
                 ? read_strings(stream, type, header.shape, budget)
                 : read_elements(stream, type.dtype, header.shape, type.order, budget);
  stream.expect_end();
  return header.fortran_order && t.rank() > 1 ? to_row_major(t, budget) : t;
}

namespace {

std::string header_text(std::string_view descr, const Dims& dims) {
  std::string shape;
  for (int64_t d : dims) shape += fmt::format("{}, ", d);
  if (dims.size() > 1) shape.resize(shape.size() - 2);
  if (dims.size() == 1) shape.pop_back();
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  // The array begins at a multiple of 64 bytes; before it stand magic, version and length.
  size_t used = magic.size() + 4 + text.size() + 1;
  text.append((64 - used % 64) % 64, ' ');
  return text + '\n';
}

std::string head_bytes(std::string_view descr, const Dims& dims) {
  std::string text = header_text(descr, dims), head(magic);
  head += {1, 0};
  store_integer(head, static_cast<uint16_t>(text.size()));
  return head + text;
}

// Fixed-width cells, 4 bytes a character for 'U' and 1 for 'S'.
NpyParts string_parts(const Tensor& t) {
  std::vector<std::u32string> texts(static_cast<size_t>(t.size()));
  bool unicode = true;
  size_t longest = 1, longest_bytes = 1;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string& s = t.data<std::string>()[i];
    unicode = unicode && decode_utf8(s, texts[i]);
    longest = std::max(longest, texts[i].size());
    longest_bytes = std::max(longest_bytes, s.size());
  }
  size_t length = unicode ? longest : longest_bytes, width = length * (unicode ? 4 : 1);
  int64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(width), t.size(), &bytes)) {
    fail(ErrorKind::CannotWrite, "{} strings of up to {} characters are too large for .npy",
         t.size(), length);
  }
  Tensor body(DType::UInt8, {bytes});
  std::fill_n(body.raw(), bytes, std::byte{0});
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string cell;
    if (unicode) {
      for (char32_t c : texts[i]) store_integer(cell, static_cast<uint32_t>(c));
    } else {
      cell = t.data<std::string>()[i];
    }
    std::memcpy(body.raw() + i * width, cell.data(), cell.size());
  }
  return {head_bytes(fmt::format("{}{}", unicode ? "<U" : "|S", length), t.dims()), body};
}

}  // namespace

NpyParts to_npy(const Tensor& t) {
  if (t.rank() > static_cast<int64_t>(highest_rank)) {
    fail(ErrorKind::CannotWrite, ".npy cannot hold {}: numpy has at most {} axes", t.type_text(),
         highest_rank);
  }
  if (t.dtype() == DType::String) return string_parts(t);
  Tensor body = to_little_endian(unpack_small_integers(t));
  for (const NumpyType& type : numpy_types) {
    if (type.dtype != body.dtype()) continue;
    bool named = type.code.size() > 3, bytewise = bits_of(type.dtype) == 8;
    std::string descr = std::string(named ? "" : bytewise ? "|" : "<") + std::string(type.code);
    return {head_bytes(descr, t.dims()), body};
  }
  fail(ErrorKind::CannotWrite, ".npy cannot hold {}: numpy has no such type", t.type_text());
}

}  // namespace onnxrun
