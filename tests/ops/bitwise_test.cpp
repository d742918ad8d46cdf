// Bitwise operators, IsNaN, IsInf.
#include <cmath>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor bytes(std::initializer_list<uint8_t> v) {
  return Tensor::of<uint8_t>({static_cast<int64_t>(v.size())}, v);
}

TEST(Bitwise, AndOrXorNot) {
  Tensor a = bytes({0b1100, 255}), b = bytes({0b1010});
  expect_close(run_op({"BitwiseAnd", {a, b}})[0], bytes({0b1000, 0b1010}));
  expect_close(run_op({"BitwiseOr", {a, b}})[0], bytes({0b1110, 255}));
  expect_close(run_op({"BitwiseXor", {a, b}})[0], bytes({0b0110, 0b11110101}));
  expect_close(run_op({"BitwiseNot", {a}})[0], bytes({0b11110011, 0}));
  expect_close(run_op({"BitwiseNot", {Tensor::of<int64_t>({2}, {0, 5})}})[0],
               Tensor::of<int64_t>({2}, {-1, -6}));
}

TEST(BitShift, LosesWhatGoesOut) {
  Attributes left = {{"direction", std::string("LEFT")}},
             right = {{"direction", std::string("RIGHT")}};
  Tensor a = bytes({1, 129, 255, 7}), bits = bytes({3, 1, 8, 0});
  expect_close(run_op({"BitShift", {a, bits}, left})[0], bytes({8, 2, 0, 7}));
  expect_close(run_op({"BitShift", {a, bits}, right})[0], bytes({0, 64, 0, 7}));
  Tensor c = Tensor::of<int32_t>({4}, {-8, 8, -8, 8}),
         d = Tensor::of<int32_t>({4}, {1, -1, 40, 40});
  expect_close(run_op({"BitShift", {c, d}, right})[0], Tensor::of<int32_t>({4}, {-4, 0, -1, 0}));
  expect_close(run_op({"BitShift", {c, d}, left})[0], Tensor::of<int32_t>({4}, {-16, 0, 0, 0}));
  expect_error({"BitShift", {a, bits}, {{"direction", std::string("UP")}}},
               "attribute 'direction' is 'UP', expected 'LEFT' or 'RIGHT'");
}

TEST(IsSpecial, TellsNumbersFromTheRest) {
  Tensor x = Tensor::of<float>({4}, {1, NAN, INFINITY, -INFINITY});
  auto bools = [](std::initializer_list<bool> v) { return Tensor::of<bool>({4}, v); };
  for (DType t : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16}) {
    SCOPED_TRACE(to_string(t));
    Tensor y = convert(x, t);
    expect_close(run_op({"IsNaN", {y}})[0], bools({false, true, false, false}));
    expect_close(run_op({"IsInf", {y}})[0], bools({false, false, true, true}));
    expect_close(run_op({"IsInf", {y}, {{"detect_negative", int64_t{0}}}})[0],
                 bools({false, false, true, false}));
    expect_close(run_op({"IsInf", {y}, {{"detect_positive", int64_t{0}}}})[0],
                 bools({false, false, false, true}));
  }
}

}  // namespace

}  // namespace onnxrun::testing
