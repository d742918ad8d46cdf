// Results that loops stack.
#include "kernels/slices.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace onnxrun {

namespace {

std::vector<RuntimeValue> numbered(int64_t count) {
  std::vector<RuntimeValue> slices;
  for (int64_t i = 0; i < count; ++i) {
    slices.push_back(Tensor::of<int32_t>({2}, {static_cast<int32_t>(i), static_cast<int32_t>(-i)}));
  }
  return slices;
}

TEST(SliceStack, IsWhatStackSlicesMakes) {
  RunControl control;
  for (int64_t count : {0, 3, 1024, 2500}) {
    std::vector<RuntimeValue> slices = numbered(count);
    SliceStack stack(control, "y");
    for (const RuntimeValue& s : slices) stack.add(s);
    for (int64_t axis : {0, 1, -1}) {
      for (bool reverse : {false, true}) {
        SCOPED_TRACE(::testing::Message() << count << " on " << axis << (reverse ? " back" : ""));
        EXPECT_TRUE(
            identical(stack.stacked(Type::tensor(DType::Int32, Shape{2}), axis, reverse),
                      stack_slices(slices, DType::Int32, {2}, axis, reverse, control, "y")));
      }
    }
  }
}

TEST(SliceStack, SlicesMustAgree) {
  RunControl control;
  SliceStack stack(control, "y");
  for (const RuntimeValue& s : numbered(1024)) stack.add(s);
  stack.add(Tensor::of<int32_t>({1}, {7}));
  try {
    stack.stacked(Type::tensor(DType::Int32, Shape{2}), 0, false);
    FAIL() << "two shapes in one tensor";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::BadInput);
  }
}

// Slices that share their memory are not counted until they are stacked.
TEST(SliceStack, ManySmallSlicesMeetTheMemoryLimit) {
  RunControl control;
  control.max_memory = 100'000;
  SliceStack stack(control, "y");
  Tensor one = Tensor::scalar(1.0f);
  EXPECT_THROW(
      {
        for (int i = 0; i < 100'000; ++i) stack.add(one);
      },
      Error);
}

}  // namespace

}  // namespace onnxrun
