#include "formats/element_text.h"

#include <charconv>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <optional>

#include "base/error.h"

namespace onnxrun {

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The whole text as a number; unlike from_chars a leading plus is taken, as people write it.
template <typename T>
std::optional<T> number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    // Too large or too small for T: the nearest is an infinity or (almost) zero, as C has it.
    if (error == std::errc::result_out_of_range) {
      std::string copy(text);
      return std::is_same_v<T, float> ? std::strtof(copy.c_str(), nullptr)
                                      : static_cast<T>(std::strtod(copy.c_str(), nullptr));
    }
  }
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

bool is_true(std::string_view t) { return t == "true" || t == "True" || t == "TRUE"; }
bool is_false(std::string_view t) { return t == "false" || t == "False" || t == "FALSE"; }

// "1+2j", "2j"; the sign that splits it is the last one not inside an exponent.
std::optional<std::complex<double>> complex_number(std::string_view text) {
  if (!text.ends_with('j')) {
    auto real = number<double>(text);
    return real ? std::optional<std::complex<double>>(*real) : std::nullopt;
  }
  text.remove_suffix(1);
  size_t split = text.size();
  while (split-- > 1) {
    bool sign = text[split] == '+' || text[split] == '-';
    if (sign && text[split - 1] != 'e' && text[split - 1] != 'E') break;
  }
  if (split == 0 || split > text.size()) {
    auto imaginary = number<double>(text);
    return imaginary ? std::optional(std::complex<double>(0, *imaginary)) : std::nullopt;
  }
  auto real = number<double>(text.substr(0, split)), imaginary = number<double>(text.substr(split));
  if (!real || !imaginary) return std::nullopt;
  return std::complex<double>(*real, *imaginary);
}

[[noreturn]] void fail_value(const Tensor& t, std::string_view text) {
  std::string shown(text.substr(0, 40));
  fail(ErrorKind::BadInput, "'{}{}' is no {}", shown, text.size() > 40 ? "..." : "",
       to_string(t.dtype()));
}

void set_small_integer(Tensor& t, int64_t index, std::string_view text) {
  int bits = bits_of(t.dtype());
  bool sign = is_signed_integer(t.dtype());
  int low = sign ? -(1 << (bits - 1)) : 0, high = (1 << (sign ? bits - 1 : bits)) - 1;
  auto value = number<int>(text);
  if (!value || *value < low || *value > high) fail_value(t, text);
  set_packed_bits(t.raw(), index, bits, static_cast<uint8_t>(*value & ((1 << bits) - 1)));
}

template <typename T>
T value_of(const Tensor& t, std::string_view text) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    auto value = complex_number(text);
    if (!value) fail_value(t, text);
    return T(*value);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!is_true(text) && !is_false(text) && text != "0" && text != "1") fail_value(t, text);
    return is_true(text) || text == "1";
  } else if constexpr (std::is_arithmetic_v<T>) {
    auto value = number<T>(text);
    if (!value) fail_value(t, text);
    return *value;
  } else {
    auto value = number<float>(text);
    if (!value) fail_value(t, text);
    return T(*value);
  }
}

template <typename F>
void dispatch_value(DType dtype, F&& f) {
  dispatch<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
           uint32_t, uint64_t, bool, std::complex<float>, std::complex<double>, float8e4m3fn,
           float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0>(dtype, f);
}

template <typename T>
std::string text_of(T value) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    return fmt::format("{}{:+}j", value.real(), value.imag());
  } else if constexpr (std::is_arithmetic_v<T>) {
    return fmt::format("{}", value);
  } else {
    auto wide = static_cast<float>(value);
    // 16-bit floats get as many digits as they tell apart, not as many as float does; whole numbers
    // and the few values of 8 bits stay exact.
    bool rounds = sizeof(T) == 2 && wide != std::trunc(wide);
    for (int digits = 1; rounds && digits < 9; ++digits) {
      std::string text = fmt::format("{:.{}g}", wide, digits);
      if (T(std::strtof(text.c_str(), nullptr)).bits == value.bits) return text;
    }
    return fmt::format("{}", wide);
  }
}

}  // namespace

TextKind kind_of_text(std::string_view text) {
  text = trimmed(text);
  if (is_true(text) || is_false(text)) return TextKind::Bool;
  if (number<int64_t>(text)) return TextKind::Integer;
  if (number<double>(text)) return TextKind::Real;
  return complex_number(text) ? TextKind::Complex : TextKind::Text;
}

DType dtype_of_kind(TextKind kind) {
  switch (kind) {
    case TextKind::Bool:
      return DType::Bool;
    case TextKind::Integer:
      return DType::Int64;
    case TextKind::Real:
      return DType::Float64;
    case TextKind::Complex:
      return DType::Complex128;
    case TextKind::Text:
      return DType::String;
  }
  return DType::Undefined;
}

void set_element(Tensor& t, int64_t index, std::string_view text) {
  if (t.dtype() == DType::String) {
    t.data<std::string>()[index] = text;
    return;
  }
  text = trimmed(text);
  if (auto format = mx_float_format(t.dtype())) {
    auto value = number<float>(text);
    if (!value) fail_value(t, text);
    set_packed_bits(t.raw(), index, bits_of(t.dtype()), float_to_mx_float_bits(*value, *format));
  } else if (is_packed(t.dtype())) {
    set_small_integer(t, index, text);
  } else {
    dispatch_value(t.dtype(), [&]<typename T>() { t.data<T>()[index] = value_of<T>(t, text); });
  }
}

std::string element_text(const Tensor& t, int64_t index) {
  if (t.dtype() == DType::String) return t.data<std::string>()[index];
  int bits = bits_of(t.dtype());
  if (auto format = mx_float_format(t.dtype())) {
    return fmt::format("{}", mx_float_bits_to_float(packed_bits(t.raw(), index, bits), *format));
  }
  if (bits < 8) {
    int value = packed_bits(t.raw(), index, bits);
    bool negative = is_signed_integer(t.dtype()) && value >= 1 << (bits - 1);
    return fmt::format("{}", negative ? value - (1 << bits) : value);
  }
  std::string text;
  dispatch_value(t.dtype(), [&]<typename T>() { text = text_of(t.data<T>()[index]); });
  return text;
}

}  // namespace onnxrun
