#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "onnxrun/value.h"

namespace onnxrun {
namespace {

template <typename F>
void expect_internal(const F& f) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Internal) << e.what();
  }
}

// In every build: bytes read as another type are a wrong answer, and past the end of the memory.
TEST(Tensor, IsReadAsWhatItIs) {
  Tensor floats = Tensor::of<float>({2}, {1, 2});
  const Tensor& same = floats;
  expect_internal([&] { static_cast<void>(floats.data<double>()); });
  expect_internal([&] { static_cast<void>(same.data<int32_t>()); });
  expect_internal([&] { static_cast<void>(same.span<std::string>()); });
  expect_internal([] { static_cast<void>(Tensor().data<float>()); });
  EXPECT_EQ(Tensor::of<bool>({1}, {true}).data<uint8_t>()[0], 1);
}

// Loops over elements count on aligned ones.
TEST(Tensor, WrapsAlignedElementsOnly) {
  alignas(8) std::byte memory[24] = {};
  const auto wraps = [&](size_t at, DType dtype) {
    try {
      return Tensor::wrap(memory + at, dtype, {1}).raw() == memory + at;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadInput) << e.what();
      return false;
    }
  };
  EXPECT_TRUE(wraps(1, DType::UInt8));
  EXPECT_TRUE(wraps(1, DType::Int4));
  EXPECT_TRUE(wraps(2, DType::Float16));
  EXPECT_FALSE(wraps(1, DType::Float16));
  EXPECT_TRUE(wraps(4, DType::Float32));
  EXPECT_FALSE(wraps(2, DType::Float32));
  EXPECT_FALSE(wraps(4, DType::Int64));
  EXPECT_TRUE(wraps(8, DType::Complex128));
  EXPECT_FALSE(wraps(4, DType::Complex128));
}

TEST(RuntimeValue, HasElementsOrIsAnError) {
  expect_internal([] { static_cast<void>(RuntimeValue().elements()); });
  expect_internal([] { static_cast<void>(RuntimeValue(Tensor::scalar(1.0f)).elements()); });
  EXPECT_EQ(RuntimeValue::sequence({Tensor::scalar(1.0f)}).elements().size(), 1u);
}

// Elements are moved to their last owner and copied for all others.
TEST(RuntimeValue, HandsElementsOver) {
  RuntimeValue value = RuntimeValue::sequence({Tensor::scalar(1.0f), Tensor::scalar(2.0f)});
  const RuntimeValue* first = value.elements().data();
  RuntimeValue other = value;
  RuntimeValue::Items copied = value.take_elements();
  EXPECT_NE(copied.data(), first);
  EXPECT_EQ(value.kind, RuntimeValue::Kind::None);
  RuntimeValue::Items moved = other.take_elements();
  EXPECT_EQ(moved.data(), first);
}

}  // namespace
}  // namespace onnxrun
