#include "onnxrun/small_float.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace onnxrun {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Format {
  std::string name;
  uint32_t codes;
  std::function<float(uint32_t)> decode;
  std::function<uint32_t(double)> encode;
};

Format float8_format(std::string name, Float8Format format) {
  return {std::move(name), 256,
          [=](uint32_t c) { return float8_bits_to_float(static_cast<uint8_t>(c), format); },
          [=](double v) { return float_to_float8_bits(v, format, true); }};
}

Format mx_format(const char* name, uint32_t codes, MxFloatFormat format) {
  return {name, codes,
          [format](uint32_t c) { return mx_float_bits_to_float(static_cast<uint8_t>(c), format); },
          [format](double v) { return float_to_mx_float_bits(v, format); }};
}

std::vector<Format> formats() {
  return {
      {"half from float", 65536,
       [](uint32_t c) { return half_bits_to_float(static_cast<uint16_t>(c)); },
       [](double v) { return float_to_half_bits(static_cast<float>(v)); }},
      {"half from double", 65536,
       [](uint32_t c) { return half_bits_to_float(static_cast<uint16_t>(c)); },
       [](double v) { return double_to_half_bits(v); }},
      {"bfloat16 from float", 65536, [](uint32_t c) { return std::bit_cast<float>(c << 16); },
       [](double v) { return float_to_bfloat16_bits(static_cast<float>(v)); }},
      {"bfloat16 from double", 65536, [](uint32_t c) { return std::bit_cast<float>(c << 16); },
       [](double v) { return double_to_bfloat16_bits(v); }},
      float8_format("e4m3fn", Float8Format::E4M3FN),
      float8_format("e4m3fnuz", Float8Format::E4M3FNUZ),
      float8_format("e5m2", Float8Format::E5M2),
      float8_format("e5m2fnuz", Float8Format::E5M2FNUZ),
      mx_format("e2m1", 16, MxFloatFormat::E2M1),
      mx_format("e2m3", 64, MxFloatFormat::E2M3),
      mx_format("e3m2", 64, MxFloatFormat::E3M2),
  };
}

TEST(SmallFloat, EveryCodeSurvivesARoundTrip) {
  for (const Format& f : formats()) {
    for (uint32_t c = 0; c < f.codes; ++c) {
      if (!std::isfinite(f.decode(c))) continue;
      ASSERT_EQ(f.encode(f.decode(c)), c) << f.name;
    }
  }
}

// Around every midpoint of two neighbours: to the nearer one, and to the even one at the midpoint.
TEST(SmallFloat, RoundsToNearestTiesToEven) {
  for (const Format& f : formats()) {
    bool from_float = f.name.ends_with("from float");
    for (uint32_t c = 0; c + 1 < f.codes / 2; ++c) {
      float low = f.decode(c), high = f.decode(c + 1);
      if (!std::isfinite(low) || !std::isfinite(high)) continue;
      double middle = (static_cast<double>(low) + high) / 2;
      double below = from_float ? std::nextafter(static_cast<float>(middle), -inf)
                                : std::nextafter(middle, -HUGE_VAL);
      double above = from_float ? std::nextafter(static_cast<float>(middle), inf)
                                : std::nextafter(middle, HUGE_VAL);
      ASSERT_EQ(f.encode(below), c) << f.name << " " << below;
      ASSERT_EQ(f.encode(middle), c + (c & 1)) << f.name << " " << middle;
      ASSERT_EQ(f.encode(above), c + 1) << f.name << " " << above;
    }
  }
}

TEST(SmallFloat, HalfSpecials) {
  EXPECT_EQ(float_to_half_bits(inf), 0x7c00);
  EXPECT_EQ(float_to_half_bits(-inf), 0xfc00);
  EXPECT_EQ(float_to_half_bits(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half_bits(65520.0f), 0x7c00);
  EXPECT_EQ(double_to_half_bits(1e300), 0x7c00);
  EXPECT_EQ(double_to_half_bits(-1e-300), 0x8000);
  EXPECT_TRUE(std::isnan(half_bits_to_float(float_to_half_bits(nan))));
  // Rounded to float first, this value would become a tie and lose its last bit.
  EXPECT_EQ(double_to_half_bits(1.0 + 0x1p-11 + 0x1p-40), 0x3c01);
}

TEST(SmallFloat, Bfloat16Specials) {
  EXPECT_EQ(float_to_bfloat16_bits(inf), 0x7f80);
  EXPECT_EQ(float_to_bfloat16_bits(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(double_to_bfloat16_bits(-1e300), 0xff80);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

struct Float8Row {
  Float8Format format;
  float value;
  uint8_t saturated, unsaturated;
};

TEST(SmallFloat, Float8FollowsTheTablesOfCast) {
  constexpr auto fn = Float8Format::E4M3FN, fnuz = Float8Format::E4M3FNUZ, e5 = Float8Format::E5M2,
                 e5uz = Float8Format::E5M2FNUZ;
  for (const Float8Row& r : std::vector<Float8Row>{
           {fn, -0.0f, 0x80, 0x80}, {fn, inf, 0x7e, 0x7f},    {fn, -inf, 0xfe, 0xff},
           {fn, 464, 0x7e, 0x7e},   {fn, 465, 0x7e, 0x7f},    {fn, -1e6f, 0xfe, 0xff},
           {fn, nan, 0x7f, 0x7f},   {fnuz, -0.0f, 0, 0},      {fnuz, -1e-9f, 0, 0},
           {fnuz, inf, 0x7f, 0x80}, {fnuz, -inf, 0xff, 0x80}, {fnuz, nan, 0x80, 0x80},
           {e5, -0.0f, 0x80, 0x80}, {e5, inf, 0x7b, 0x7c},    {e5, -inf, 0xfb, 0xfc},
           {e5, 61440, 0x7b, 0x7c}, {e5, 61439, 0x7b, 0x7b},  {e5, nan, 0x7e, 0x7e},
           {e5uz, -0.0f, 0, 0},     {e5uz, inf, 0x7f, 0x80},  {e5uz, -1e9f, 0xff, 0x80},
       }) {
    SCOPED_TRACE(::testing::Message()
                 << "format " << static_cast<int>(r.format) << " of " << r.value);
    EXPECT_EQ(float_to_float8_bits(r.value, r.format, true), r.saturated);
    EXPECT_EQ(float_to_float8_bits(r.value, r.format, false), r.unsaturated);
  }
}

struct E8m0Row {
  double value;
  bool saturate;
  PowerRounding rounding;
  uint8_t code;
};

TEST(SmallFloat, E8m0Rounds) {
  constexpr auto up = PowerRounding::Up, down = PowerRounding::Down,
                 nearest = PowerRounding::Nearest;
  for (const E8m0Row& r : std::vector<E8m0Row>{
           {1, true, up, 127},
           {1.01, true, up, 128},
           {1.99, true, down, 127},
           {1.49, true, nearest, 127},
           {1.5, true, nearest, 128},
           {0, true, up, 0},
           {0, false, nearest, 255},
           {nan, true, up, 255},
           {inf, true, up, 254},
           {inf, false, nearest, 255},
           {3e38, true, up, 254},
           {3e38, false, nearest, 255},
           {1e-45, true, up, 0},
           {1e-45, false, nearest, 255},
           {0x1p-127, false, up, 0},
           {0x1.8p-127, true, down, 0},
           {0x1.8p-127, true, up, 1},
           {-1, true, up, 255},
       }) {
    EXPECT_EQ(float_to_float8e8m0_bits(r.value, r.saturate, r.rounding), r.code)
        << r.value << " " << r.saturate << " " << static_cast<int>(r.rounding);
  }
  for (int c = 0; c < 255; ++c) {
    EXPECT_EQ(float8e8m0_bits_to_float(static_cast<uint8_t>(c)), std::ldexp(1.0f, c - 127));
  }
  EXPECT_TRUE(std::isnan(float8e8m0_bits_to_float(255)));
}

TEST(SmallFloat, MxSpecials) {
  struct Row {
    MxFloatFormat format;
    float smallest, largest;
    uint8_t sign;
  };
  for (const Row& r :
       {Row{MxFloatFormat::E2M1, 0.5f, 6, 8}, Row{MxFloatFormat::E2M3, 0.125f, 7.5f, 32},
        Row{MxFloatFormat::E3M2, 0.0625f, 28, 32}}) {
    auto encode = [&](double v) { return float_to_mx_float_bits(v, r.format); };
    EXPECT_EQ(mx_float_bits_to_float(1, r.format), r.smallest);
    EXPECT_EQ(mx_float_bits_to_float(encode(inf), r.format), r.largest);
    EXPECT_EQ(mx_float_bits_to_float(encode(-1e30), r.format), -r.largest);
    EXPECT_EQ(encode(nan), r.sign);
    EXPECT_EQ(encode(-nan), 0);
    EXPECT_EQ(encode(-0.0), r.sign);
  }
}

}  // namespace
}  // namespace onnxrun
