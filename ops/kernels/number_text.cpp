#include "kernels/number_text.h"

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "base/error.h"

namespace onnxrun {

namespace {

// d.ddde+xx, with the fewest digits that read back as `value` in its own type.
template <typename T>
std::string shortest_scientific(T value) {
  std::array<char, 64> text;
  if constexpr (std::is_floating_point_v<T>) {
    auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
    return {text.data(), end.ptr};
  } else {
    auto wide = static_cast<float>(value);
    for (int digits = 0;; ++digits) {
      auto end = std::to_chars(text.data(), text.data() + text.size(), wide,
                               std::chars_format::scientific, digits);
      float back = 0;
      std::from_chars(text.data(), end.ptr, back);
      if (static_cast<float>(T(back)) == wide || digits == 9) return {text.data(), end.ptr};
    }
  }
}

// NumPy writes numbers from 1e-4 up to below 1e16 without an exponent.
template <typename T>
std::string print_float(T value) {
  auto wide = static_cast<double>(value);
  if (std::isnan(wide)) return "nan";
  if (std::isinf(wide)) return wide < 0 ? "-inf" : "inf";
  std::string text = shortest_scientific(value);
  std::string sign = text[0] == '-' ? "-" : "";
  size_t e = text.find('e');
  int exponent = std::stoi(text.substr(e + 1));
  std::string digits;
  for (char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  double size = std::abs(wide);
  if (size != 0 && (size < 1e-4 || size >= 1e16)) return text;
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent) - 1, '0') + digits;
  auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

// Types without an arithmetic C++ type of their own are printed by way of a wider one.
DType printable(DType dtype) {
  if (is_float(dtype)) return bits_of(dtype) < 8 ? DType::Float32 : dtype;
  return dtype == DType::Bool || dtype == DType::UInt64 ? dtype : DType::Int64;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

bool equal_in_any_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[i])) != lower[i]) return false;
  }
  return true;
}

template <typename T>
bool parse(std::string_view text, T& value) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return false;
  if (error == std::errc()) return true;
  if constexpr (std::is_floating_point_v<T>) {
    // Too large or too small for from_chars, which leaves the value alone.
    value = std::strtod(std::string(text).c_str(), nullptr);
    return true;
  }
  return false;
}

[[noreturn]] void no_number(const std::string& text, int64_t index, DType to) {
  fail(ErrorKind::BadInput, "'{}' (element {}) is no {}", text, index, to_string(to));
}

template <typename T>
T parse_as(const std::string& text, int64_t index, DType to) {
  T value{};
  if (parse(text, value)) return value;
  if (equal_in_any_case(trimmed(text), "true")) return 1;
  if (equal_in_any_case(trimmed(text), "false")) return 0;
  if constexpr (std::is_integral_v<T>) {
    // NaN is in no range.
    double wide = 0, end = std::is_signed_v<T> ? 0x1p63 : 0x1p64;
    if (!parse(text, wide) || !(wide >= -0x1p63 && wide < end)) no_number(text, index, to);
    return *convert(Tensor::scalar(wide), dtype_of<T>).template data<T>();
  }
  no_number(text, index, to);
}

}  // namespace

void print_numbers(const Tensor& from, Tensor& to) {
  Tensor numbers = convert(from, printable(from.dtype()));
  std::string* out = to.data<std::string>();
  dispatch<float, double, float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2,
           float8e5m2fnuz, float8e8m0, int64_t, uint64_t, bool>(numbers.dtype(), [&]<typename T>() {
    const T* in = numbers.data<T>();
    for (int64_t i = 0; i < numbers.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        out[i] = in[i] ? "True" : "False";
      } else if constexpr (std::is_integral_v<T>) {
        out[i] = std::to_string(in[i]);
      } else {
        out[i] = print_float(in[i]);
      }
    }
  });
}

void parse_numbers(const Tensor& from, Tensor& to, const ConvertOptions& options) {
  DType wide = to.dtype() == DType::UInt64 ? DType::UInt64
               : is_integer(to.dtype())    ? DType::Int64
                                           : DType::Float64;
  Tensor numbers(wide, from.dims());
  const std::string* in = from.data<std::string>();
  dispatch<double, int64_t, uint64_t>(wide, [&]<typename T>() {
    T* out = numbers.data<T>();
    for (int64_t i = 0; i < from.size(); ++i) out[i] = parse_as<T>(in[i], i, to.dtype());
  });
  convert_into(numbers, to, options);
}

}  // namespace onnxrun
