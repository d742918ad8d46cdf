// Floating-point formats narrower than 32 bits, held as bit patterns.
//
// Conversions round once, to nearest, ties to even; NaN stays NaN with its sign. The 8-bit formats
// follow the ONNX standard (operator Cast, "Float stored in 8 bits"): with `saturate`, values out
// of range (infinities too) become the largest finite value; without it they become infinity, or
// NaN where the format has none. They take double, which holds any float exactly.
#pragma once

#include <bit>
#include <cstdint>

namespace onnxrun {

float half_bits_to_float(uint16_t bits);
uint16_t float_to_half_bits(float value);
uint16_t double_to_half_bits(double value);
uint16_t float_to_bfloat16_bits(float value);
uint16_t double_to_bfloat16_bits(double value);

// An 8-bit float format of the standard.
enum class Float8Format : uint8_t { E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ };
float float8_bits_to_float(uint8_t bits, Float8Format format);
uint8_t float_to_float8_bits(double value, Float8Format format, bool saturate);

// Powers of two, 2^(bits - 127); 255 is NaN.
float float8e8m0_bits_to_float(uint8_t bits);
// How float8e8m0 rounds a value that is no power of two (attribute round_mode of Cast); Nearest
// rounds 1.5 * 2^n up.
enum class PowerRounding : uint8_t { Up, Down, Nearest };
// Out of range after rounding, zero and infinity: the nearest power with `saturate`, else NaN.
// Negative values, for which the standard says nothing, give NaN.
uint8_t float_to_float8e8m0_bits(double value, bool saturate, PowerRounding rounding);

// The 4- and 6-bit formats of the OCP Microscaling specification (MX v1.0, section 5.3), in the low
// bits of a byte. They have neither infinity nor NaN: values out of range (infinities too) become
// the largest; NaN gives -0 and NaN with its sign set 0, as other runtimes do.
enum class MxFloatFormat : uint8_t { E2M1, E2M3, E3M2 };
float mx_float_bits_to_float(uint8_t bits, MxFloatFormat format);
uint8_t float_to_mx_float_bits(double value, MxFloatFormat format);

struct float16 {
  uint16_t bits = 0;
  float16() = default;
  explicit float16(float v) : bits(float_to_half_bits(v)) {}
  operator float() const { return half_bits_to_float(bits); }
};

struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float v) : bits(float_to_bfloat16_bits(v)) {}
  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

template <Float8Format format>
struct float8 {
  uint8_t bits = 0;
  float8() = default;
  explicit float8(float v) : bits(float_to_float8_bits(v, format, true)) {}
  operator float() const { return float8_bits_to_float(bits, format); }
};
using float8e4m3fn = float8<Float8Format::E4M3FN>;
using float8e4m3fnuz = float8<Float8Format::E4M3FNUZ>;
using float8e5m2 = float8<Float8Format::E5M2>;
using float8e5m2fnuz = float8<Float8Format::E5M2FNUZ>;

struct float8e8m0 {
  uint8_t bits = 0;
  float8e8m0() = default;
  explicit float8e8m0(float v) : bits(float_to_float8e8m0_bits(v, true, PowerRounding::Up)) {}
  operator float() const { return float8e8m0_bits_to_float(bits); }
};

}  // namespace onnxrun
