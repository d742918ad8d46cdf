#include "onnxrun/small_float.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace onnxrun {

namespace {

// A binary format without its sign: `fraction_bits` of fraction, 2^min_exponent as smallest normal
// number. Its codes, read as integers, are ordered as the magnitudes they stand for.
struct Layout {
  int fraction_bits;
  int min_exponent;
};

constexpr Layout half_layout{10, -14};
constexpr Layout bfloat16_layout{7, -126};

struct MxFloatFacts {
  Layout layout;
  uint8_t sign;  // the sign bit; below it every code is finite
};

constexpr std::array<MxFloatFacts, 3> mx_float_facts = {{{{1, 0}, 8}, {{3, 0}, 32}, {{2, -2}, 32}}};

struct Float8Facts {
  Layout layout;
  uint8_t largest;   // code of the largest finite magnitude
  uint8_t overflow;  // code of what lies beyond it: infinity or NaN
  uint8_t nan;
  bool single_zero;  // 0x80 is the only NaN; no -0, no infinity
};

constexpr std::array<Float8Facts, 4> float8_facts = {{
    {{3, -6}, 0x7e, 0x7f, 0x7f, false},
    {{3, -7}, 0x7f, 0x80, 0x80, true},
    {{2, -14}, 0x7b, 0x7c, 0x7e, false},
    {{2, -15}, 0x7f, 0x80, 0x80, true},
}};

constexpr const Float8Facts& facts_of(Float8Format format) {
  return float8_facts[static_cast<size_t>(format)];
}

template <typename T>
struct FloatBits;
template <>
struct FloatBits<float> {
  using Word = uint32_t;
  static constexpr int fraction_bits = 23, bias = 127;
};
template <>
struct FloatBits<double> {
  using Word = uint64_t;
  static constexpr int fraction_bits = 52, bias = 1023;
};

template <typename T>
constexpr bool sign_of(T value) {
  return std::bit_cast<typename FloatBits<T>::Word>(value) >> (sizeof(T) * 8 - 1);
}

// The code of |value| rounded to nearest, ties to even, as if the format had no largest number.
// `value` must not be NaN; what infinity gives is larger than any code of a narrower range.
template <typename T>
constexpr typename FloatBits<T>::Word round_magnitude(T value, Layout layout) {
  using B = FloatBits<T>;
  using Word = typename B::Word;
  constexpr Word hidden = Word{1} << B::fraction_bits;
  Word magnitude = std::bit_cast<Word>(value) & (~Word{0} >> 1);
  int field = static_cast<int>(magnitude >> B::fraction_bits);
  Word significand = (magnitude & (hidden - 1)) | (field > 0 ? hidden : 0);
  int exponent = std::max(field, 1) - B::bias;
  int target = std::max(exponent, layout.min_exponent);
  int dropped = B::fraction_bits - layout.fraction_bits + (target - exponent);
  if (dropped == 0) return magnitude;
  if (dropped > B::fraction_bits + 1) return 0;
  Word kept = significand >> dropped;
  Word rest = significand & ((Word{1} << dropped) - 1), tie = Word{1} << (dropped - 1);
  if (rest > tie || (rest == tie && (kept & 1))) ++kept;
  // A kept hidden bit adds one to the exponent field, and so does a carry out of the fraction.
  return (static_cast<Word>(target - layout.min_exponent) << layout.fraction_bits) + kept;
}

// The value of a finite code.
constexpr float magnitude_to_float(uint32_t code, Layout layout) {
  auto field = static_cast<int>(code >> layout.fraction_bits);
  uint32_t hidden = 1u << layout.fraction_bits;
  uint32_t significand = (code & (hidden - 1)) | (field > 0 ? hidden : 0);
  int exponent = layout.min_exponent + std::max(field, 1) - 1 - layout.fraction_bits;
  float scale = std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
  return static_cast<float>(significand) * scale;
}

constexpr float with_sign(float magnitude, bool negative) {
  return negative ? -magnitude : magnitude;
}

constexpr float quiet_nan(bool negative) {
  return std::bit_cast<float>(negative ? 0xffc00000u : 0x7fc00000u);
}

template <typename T>
constexpr uint16_t to_half_bits(T value) {
  using B = FloatBits<T>;
  using Word = typename B::Word;
  auto sign = static_cast<uint16_t>(sign_of(value) ? 0x8000 : 0);
  if (value != value) {
    auto payload = static_cast<uint16_t>(
        (std::bit_cast<Word>(value) >> (B::fraction_bits - half_layout.fraction_bits)) & 0x3ff);
    return sign | 0x7c00 | (payload != 0 ? payload : 0x200);
  }
  return sign | static_cast<uint16_t>(std::min<Word>(round_magnitude(value, half_layout), 0x7c00));
}

constexpr float float8_value(uint8_t bits, const Float8Facts& facts) {
  bool negative = (bits & 0x80) != 0;
  if (facts.single_zero && bits == facts.nan) return quiet_nan(negative);
  uint8_t code = bits & 0x7f;
  if (code > facts.largest) {
    bool infinite = facts.overflow != facts.nan && code == facts.overflow;
    return infinite ? with_sign(HUGE_VALF, negative) : quiet_nan(negative);
  }
  return with_sign(magnitude_to_float(code, facts.layout), negative);
}

constexpr auto float8_tables = [] {
  std::array<std::array<float, 256>, 4> tables{};
  for (size_t f = 0; f < 4; ++f) {
    for (size_t i = 0; i < 256; ++i) {
      tables[f][i] = float8_value(static_cast<uint8_t>(i), float8_facts[f]);
    }
  }
  return tables;
}();

}  // namespace

float half_bits_to_float(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude << 13));
  // The same bits mean 2^-112 times as much in a float; the product is exact, subnormals included.
  float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

uint16_t float_to_half_bits(float value) { return to_half_bits(value); }
uint16_t double_to_half_bits(double value) { return to_half_bits(value); }

uint16_t float_to_bfloat16_bits(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

uint16_t double_to_bfloat16_bits(double value) {
  if (value != value) return float_to_bfloat16_bits(static_cast<float>(value));
  auto sign = static_cast<uint16_t>(sign_of(value) ? 0x8000 : 0);
  return sign |
         static_cast<uint16_t>(std::min<uint64_t>(round_magnitude(value, bfloat16_layout), 0x7f80));
}

float float8_bits_to_float(uint8_t bits, Float8Format format) {
  return float8_tables[static_cast<size_t>(format)][bits];
}

uint8_t float_to_float8_bits(double value, Float8Format format, bool saturate) {
  const Float8Facts& facts = facts_of(format);
  auto sign = static_cast<uint8_t>(sign_of(value) ? 0x80 : 0);
  if (value != value) return sign | facts.nan;
  uint64_t code = round_magnitude(value, facts.layout);
  if (code == 0 && facts.single_zero) return 0;
  if (code > facts.largest) code = saturate ? facts.largest : facts.overflow;
  return sign | static_cast<uint8_t>(code);
}

float float8e8m0_bits_to_float(uint8_t bits) {
  if (bits == 255) return quiet_nan(false);
  // 2^-127 is a subnormal float.
  return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<uint32_t>(bits) << 23);
}

uint8_t float_to_float8e8m0_bits(double value, bool saturate, PowerRounding rounding) {
  if (value != value || value < 0) return 255;
  if (value == 0) return saturate ? 0 : 255;
  if (std::isinf(value)) return saturate ? 254 : 255;
  int exponent = 0;
  double fraction = std::frexp(value, &exponent) * 2;  // in [1, 2)
  int code = exponent - 1 + 127;
  bool up = rounding == PowerRounding::Up        ? fraction > 1
            : rounding == PowerRounding::Nearest ? fraction >= 1.5
                                                 : false;
  code += up;
  if (code >= 0 && code <= 254) return static_cast<uint8_t>(code);
  if (!saturate) return 255;
  return code < 0 ? 0 : 254;
}

float mx_float_bits_to_float(uint8_t bits, MxFloatFormat format) {
  const auto& [layout, sign] = mx_float_facts[static_cast<size_t>(format)];
  return with_sign(magnitude_to_float(bits & (sign - 1u), layout), (bits & sign) != 0);
}

uint8_t float_to_mx_float_bits(double value, MxFloatFormat format) {
  const auto& [layout, sign] = mx_float_facts[static_cast<size_t>(format)];
  if (value != value) return sign_of(value) ? 0 : sign;
  uint64_t code = std::min<uint64_t>(round_magnitude(value, layout), sign - 1u);
  return static_cast<uint8_t>(code | (sign_of(value) ? sign : 0));
}

}  // namespace onnxrun
