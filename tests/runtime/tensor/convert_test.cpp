#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>

#include "base/error.h"
#include "tensor/tensor.h"

namespace onnxrun {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct ConvertRow {
  DType to;
  std::vector<double> values, expected;
};

TEST(Convert, FloatToOthers) {
  for (const ConvertRow& r : std::vector<ConvertRow>{
           {DType::Int32,
            {-1.9, 1.9, 3e9, -3e9, nan, inf},
            {-1, 1, -0x1p31, -0x1p31, -0x1p31, -0x1p31}},
           {DType::Int64, {-1.9, 1e19, nan}, {-1, -0x1p63, -0x1p63}},
           {DType::UInt64, {1e19, 3.5, 2e19}, {1e19, 3, 0}},
           {DType::UInt32, {4294967295.5, -1}, {4294967295, 4294967295}},
           {DType::Int8, {300, -129, 127.9, nan}, {44, 127, 127, 0}},
           {DType::UInt8, {-1, 256, 255}, {255, 0, 255}},
           {DType::Bool, {0, -0.0, 0.1, nan, -5}, {0, 0, 1, 1, 1}},
           {DType::Int4, {-9, -8, -1, 7, 8, 15}, {7, -8, -1, 7, -8, -1}},
           {DType::UInt4, {-1, 16, 5}, {15, 0, 5}},
           {DType::Int2, {-3, -2, 1, 2, 0}, {1, -2, 1, -2, 0}},
           {DType::UInt2, {-3, 3, 4, 2, 1}, {1, 3, 0, 2, 1}},
           {DType::Float4E2M1, {0.48, 1.05, -3.5, 1e6, -inf}, {0.5, 1, -4, 6, -6}},
           {DType::Float6E2M3, {0.1, 1.05, -3.6, 1e6, -inf}, {0.125, 1, -3.5, 7.5, -7.5}},
           {DType::Float6E3M2, {0.1, 1.05, -3.6, 1e6, -inf}, {0.125, 1, -3.5, 28, -28}},
           {DType::Float16, {1.0 + 0x1p-11 + 0x1p-40, 1e6}, {1.0 + 0x1p-10, inf}},
           {DType::BFloat16, {1.0 + 0x1p-8 + 0x1p-40}, {1.0 + 0x1p-7}},
           {DType::Float8E5M2, {1e9, -inf, 0.3}, {57344, -57344, 0.3125}},
           {DType::Float8E8M0, {0, 1.1, 8}, {0x1p-127, 2, 8}},
           {DType::Float32, {1e300, 0.1}, {inf, 0.1f}},
       }) {
    Tensor from = Tensor::of<double>({static_cast<int64_t>(r.values.size())}, r.values);
    EXPECT_EQ(to_doubles(convert(from, r.to)), r.expected) << to_string(r.to);
  }
}

TEST(Convert, IntegersKeepTheirLowBits) {
  Tensor from = Tensor::of<int16_t>({3}, {200, -129, -1});
  EXPECT_EQ(to_int64s(convert(from, DType::Int8)), (std::vector<int64_t>{-56, 127, -1}));
  EXPECT_EQ(to_doubles(convert(from, DType::UInt64)),
            (std::vector<double>{200, 0x1p64 - 129, 0x1p64 - 1}));
  EXPECT_EQ(to_doubles(convert(Tensor::scalar<uint64_t>(UINT64_MAX), DType::Float32))[0], 0x1p64);
  // By way of double this would be rounded twice.
  Tensor big = Tensor::scalar<int64_t>((int64_t{1} << 60) + (int64_t{1} << 36) + 1);
  EXPECT_EQ(*convert(big, DType::Float32).data<float>(), 0x1.000002p60f);
}

TEST(Convert, PackedTypesOfOddLengthsAndManyBlocks) {
  std::vector<int64_t> values(1777);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i % 16) - 8;
  Tensor packed = convert(Tensor::of<int64_t>({1777}, values), DType::Int4);
  EXPECT_EQ(packed.bytes(), 889);
  EXPECT_EQ(to_int64s(packed), values);
  EXPECT_EQ(to_int64s(convert(convert(packed, DType::Float16), DType::Int64)), values);
}

TEST(Convert, ComplexOnlyToComplex) {
  Tensor c = Tensor::of<std::complex<double>>({1}, {{1.5, -2.5}});
  EXPECT_EQ(*convert(c, DType::Complex64).data<std::complex<float>>(),
            (std::complex<float>{1.5f, -2.5f}));
  EXPECT_THROW(convert(c, DType::Float32), Error);
  EXPECT_THROW(convert(Tensor::scalar(1.0f), DType::Complex64), Error);
  EXPECT_THROW(convert(Tensor::scalar<std::string>("1"), DType::Float32), Error);
}

TEST(Convert, EmptyAndSameType) {
  EXPECT_EQ(convert(Tensor(DType::Float32, {0, 3}), DType::Int2).dims(), (Dims{0, 3}));
  Tensor x = Tensor::of<float>({2}, {1, 2});
  Tensor y = convert(x, DType::Float32);
  EXPECT_TRUE(identical(x, y));
  EXPECT_FALSE(x.same_buffer(y));
}

TEST(Convert, ToInt64sWantsIntegers) {
  EXPECT_THROW(to_int64s(Tensor::scalar(1.0f)), Error);
  EXPECT_THROW(to_doubles(Tensor::scalar<std::string>("1")), Error);
}

}  // namespace
}  // namespace onnxrun
