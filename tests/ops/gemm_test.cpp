#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

TEST(Gemm, Values) {
  Tensor a = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5}),
         b = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  expect_close(run_op({"Gemm", {a, b}})[0], Tensor::of<float>({2, 2}, {13, 16, 40, 52}));
  Tensor row = Tensor::of<float>({2}, {100, 200}), column = Tensor::of<float>({2, 1}, {100, 200});
  Attributes factors = {{"alpha", 2.0f}, {"beta", 0.5f}};
  expect_close(run_op({"Gemm", {a, b, row}, factors})[0],
               Tensor::of<float>({2, 2}, {76, 132, 130, 204}));
  expect_close(run_op({"Gemm", {a, b, column}, factors})[0],
               Tensor::of<float>({2, 2}, {76, 82, 180, 204}));
  expect_close(run_op({"Gemm", {a, b, Tensor::scalar(1.0f)}})[0],
               Tensor::of<float>({2, 2}, {14, 17, 41, 53}));
}

TEST(Gemm, IntegersAndShortFloats) {
  Tensor a = Tensor::of<double>({2, 2}, {1, 2, 3, 4}), c = Tensor::of<double>({2}, {10, 21});
  for (DType t : {DType::Float16, DType::BFloat16, DType::Int32, DType::Int64, DType::UInt32,
                  DType::UInt64}) {
    Tensor x = convert(a, t), bias = convert(c, t);
    Attributes trans = {{"transB", int64_t{1}}};
    expect_close(run_op({"Gemm", {x, x, bias}, trans})[0],
                 convert(Tensor::of<double>({2, 2}, {15, 32, 21, 46}), t));
  }
  Tensor x = convert(a, DType::Int32), bias = convert(c, DType::Int32);
  expect_close(run_op({"Gemm", {x, x, bias}, {{"alpha", 0.5f}, {"beta", 0.5f}}})[0],
               Tensor::of<int32_t>({2, 2}, {8, 15, 12, 21}));
}

TEST(Gemm, OldBroadcastAttribute) {
  Tensor a = Tensor::of<float>({1, 2}, {1, 2}), b = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  OpRun run{"Gemm", {a, b, Tensor::of<float>({2}, {1, 1})}, {{"broadcast", int64_t{1}}}};
  run.opset = 6;
  expect_close(run_op(run)[0], Tensor::of<float>({1, 2}, {8, 11}));
}

TEST(Gemm, ShapesThatDoNotFitAreNamed) {
  Tensor a = random_tensor({2, 3}, 1);
  expect_error({"Gemm", {a, a}},
               "inner dimensions differ: A 'in0' is double[2,3], B 'in1' is double[2,3]");
  expect_error({"Gemm", {a, a, random_tensor({3}, 2)}, {{"transB", int64_t{1}}}},
               "C 'in2' is double[3] does not broadcast to the product's shape [2,2]");
  expect_error({"Gemm", {a, random_tensor({3}, 1)}}, "B 'in1' is double[3], expected a matrix");
}

TEST(Gemm, Gradients) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      for (const Dims& bias : {Dims{}, Dims{4}, Dims{1, 4}, Dims{2, 1}, Dims{2, 4}}) {
        SCOPED_TRACE(std::to_string(ta) + std::to_string(tb) + to_string(bias));
        Tensor a = random_tensor(ta ? Dims{3, 2} : Dims{2, 3}, 1);
        Tensor b = random_tensor(tb ? Dims{4, 3} : Dims{3, 4}, 2);
        check_gradient(
            {"Gemm",
             {a, b, random_tensor(bias, 3)},
             {{"transA", int64_t{ta}}, {"transB", int64_t{tb}}, {"alpha", 0.5f}, {"beta", 2.0f}}},
            {.second_order = true});
      }
    }
  }
  check_gradient({"Gemm", {random_tensor({0, 3}, 1), random_tensor({3, 2}, 2)}},
                 {.second_order = true});
}

}  // namespace

}  // namespace onnxrun::testing
