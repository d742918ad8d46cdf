// Convolutions of bytes on every instruction set against products of doubles, which are exact here.
#include "kernels/byte_convolution.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <random>

#include "base/threads.h"
#include "kernels/matrix_convolution.h"
#include "support/convolution_cases.h"

namespace onnxrun {
namespace {

const std::vector<ConvolutionCase> byte_convolution_cases = {
    {2, 1, 1, 1, {7}, {3}, {1}, {1}, {1}},
    {1, 2, 3, 2, {19}, {4}, {2}, {3}, {4}},
    {3, 1, 2, 5, {9, 8}, {3, 2}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 3, 9, {10, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 3, 1, 1, {11, 9}, {3, 3}, {1, 1}, {2, 1}, {2, 1}},
    {2, 4, 1, 2, {12, 13}, {5, 3}, {2, 3}, {1, 1}, {2, 0}},
    {1, 70, 1, 1, {21, 35}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 3, 1, 1, {21, 35}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {9, 1, 4, 3, {8, 8}, {3, 3}, {2, 2}, {1, 2}, {1, 2}},
    {1, 2, 2, 2, {4, 6, 9}, {2, 3, 2}, {1, 2, 1}, {1, 1, 2}, {1, 1, 0}},
    {1, 1, 40, 70, {13, 11}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 1, 33, 17, {9, 15}, {1, 1}, {1, 1}, {1, 1}, {0, 0}},  // the windows are the image
    {2, 1, 5, 4, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {0, 0}},     // one window
    {1, 1, 5, 4, {2, 2}, {5, 5}, {1, 1}, {1, 1}, {3, 3}},     // mostly padding
    {1, 5, 1, 2, {17, 66}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 2, 1, 1, {30, 9}, {3, 7}, {1, 1}, {2, 3}, {2, 5}},
    {1, 2, 1, 2, {40, 40}, {5, 5}, {3, 3}, {1, 2}, {2, 4}},
    {1, 3, 2, 1, {150}, {11}, {2}, {1}, {5}},
    {1, 2, 1, 1, {80}, {9}, {3}, {2}, {8}},
    {1, 2, 1, 1, {14, 14}, {1, 4}, {1, 5}, {1, 1}, {0, 2}},
    {1, 2, 1, 1, {5, 7, 19}, {3, 3, 3}, {1, 1, 2}, {1, 1, 1}, {1, 1, 1}},
    {1, 1, 1, 1, {2100, 2}, {3, 2}, {1, 1}, {1, 1}, {1, 1}},
    {1, 7, 1, 1, {6, 203}, {3, 5}, {2, 4}, {1, 1}, {1, 2}},
    {2, 5, 1, 2, {9, 131}, {3, 3}, {2, 2}, {1, 2}, {1, 2}},
};

using ByteList = std::vector<uint8_t>;

ByteList random_bytes(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  ByteList values(static_cast<size_t>(n));
  for (uint8_t& v : values) v = static_cast<uint8_t>(random());
  return values;
}

double number(uint8_t byte, bool is_signed) { return is_signed ? static_cast<int8_t>(byte) : byte; }

struct Operands {
  ConvShape shape;
  bool signed_x, signed_w;
  ByteList x, w, zero_w;
  uint8_t zero_x = 0x93;

  Operands(const ConvolutionCase& c, bool sx, bool sw, bool many_zeros)
      : shape(c.shape()),
        signed_x(sx),
        signed_w(sw),
        x(random_bytes(shape.x_at(shape.batch, 0), 1)),
        w(random_bytes(shape.w_at(shape.groups), 2)),
        zero_w(random_bytes(many_zeros ? channels() : 1, 3)) {
    if (!many_zeros && sw) zero_w[0] = 0;
  }

  int64_t channels() const { return shape.groups * shape.out_channels; }
  int64_t outputs() const { return shape.y_at(shape.batch, 0); }

  std::vector<double> expected() const {
    std::vector<double> xs, ws, y(static_cast<size_t>(outputs()));
    for (uint8_t v : x) xs.push_back(number(v, signed_x) - number(zero_x, signed_x));
    const size_t row = w.size() / static_cast<size_t>(channels());
    for (size_t i = 0; i < w.size(); ++i) {
      const uint8_t zero = zero_w[i / row % zero_w.size()];
      ws.push_back(number(w[i], signed_w) - number(zero, signed_w));
    }
    MatrixConvolution<double>(shape).forward(xs.data(), ws.data(), nullptr, y.data());
    return y;
  }

  // Calls f(convolution, operands).
  template <typename F>
  void with(Dots dots, size_t way, const F& f) const {
    const ByteConvolution convolution(shape, dots, way);
    std::vector<int32_t> words(static_cast<size_t>(convolution.weight_words()));
    convolution.pack_weights({w.data(), signed_w}, words.data());
    const ZeroPoints zeros(zero_w.data(), static_cast<int64_t>(zero_w.size()), signed_w,
                           signed_shift(signed_w));
    f(convolution, ByteConvolution::Operands{{x.data(), signed_x}, zero_x, words.data(), zeros});
  }

  std::vector<double> sums(Dots dots, size_t way = 0) const {
    std::vector<int32_t> y(static_cast<size_t>(outputs()));
    with(dots, way, [&](const ByteConvolution& convolution, const ByteConvolution::Operands& o) {
      convolution.sums(o, y.data());
    });
    return {y.begin(), y.end()};
  }
};

class ByteConvolutions : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, ByteConvolutions,
                         ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

// Calls f(operands, terms of a word, way) for all of them.
template <typename F>
void for_each_problem(const F& f) {
  for (Dots dots : {Dots::Pairs, Dots::Quads}) {
    if (!has_dots(dots)) continue;
    for (size_t i = 0; i < byte_convolution_cases.size(); ++i) {
      for (bool signed_x : {false, true}) {
        for (bool signed_w : {false, true}) {
          const Operands o(byte_convolution_cases[i], signed_x, signed_w, (i + signed_x) % 2 == 1);
          for (size_t way = 0; way < ByteConvolution::ways; ++way) {
            SCOPED_TRACE(::testing::Message()
                         << "case " << i << " signed " << signed_x << signed_w << " terms "
                         << static_cast<int>(dots) << " way " << way);
            f(o, dots, way);
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(ByteConvolutions, AreExact) {
  for_each_problem(
      [](const Operands& o, Dots dots, size_t way) { ASSERT_EQ(o.sums(dots, way), o.expected()); });
}

TEST_P(ByteConvolutions, AreTheSameOnThreads) {
  const ThreadScope threads(4);
  for (const ConvolutionCase& c :
       {ConvolutionCase{1, 1, 24, 40, {30, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
        ConvolutionCase{2, 96, 1, 1, {30, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}}) {
    const Operands o(c, false, true, true);
    EXPECT_EQ(o.sums(fastest_dots()), o.expected());
  }
}

double level_of(double sum, int32_t bias, float factor, double lowest) {
  const auto whole = static_cast<float>(std::min<double>(sum + bias, INT32_MAX));
  return std::clamp<double>(std::nearbyint(whole * factor) - 5, lowest, lowest + 255);
}

TEST_P(ByteConvolutions, AreQuantized) {
  for_each_problem([](const Operands& o, Dots dots, size_t way) {
    std::vector<int32_t> bias;
    std::vector<float> factors;
    for (int64_t i = 0; i < o.channels(); ++i) {
      bias.push_back(i == 4 || i == 1 ? INT32_MAX : static_cast<int32_t>(100 * i - 300));
      factors.push_back(bias.back() == INT32_MAX ? 0x1p-26F
                                                 : 0.001F * static_cast<float>(i % 7 + 1));
    }
    const std::vector<double> sums = o.expected();
    const bool is_signed = way % 2 == 0;
    constexpr size_t behind = 64;
    ByteList y(sums.size() + behind, 0x5A);
    o.with(dots, way, [&](const ByteConvolution& convolution, const auto& operands) {
      convolution.quantized(operands, {bias.data(), factors.data(), -5, is_signed}, y.data());
    });
    const size_t plane = static_cast<size_t>(o.shape.window.output_size());
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t channel = i / plane % static_cast<size_t>(o.channels());
      ASSERT_EQ(number(y[i], is_signed),
                level_of(sums[i], bias[channel], factors[channel], is_signed ? -128 : 0))
          << "element " << i;
    }
    ASSERT_EQ(ByteList(y.end() - behind, y.end()), ByteList(behind, 0x5A));
  });
}

}  // namespace
}  // namespace onnxrun
