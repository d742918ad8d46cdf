#include "support/decomposition.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor iota(Dims dims, double start = 0) {
  Tensor t(DType::Float64, std::move(dims));
  for (double& v : t.span<double>()) v = start++;
  return t;
}

struct MatmulCase {
  Dims a, b, y;
};

const std::vector<MatmulCase> matmul_cases = {
    {{3}, {3}, {}},
    {{3}, {3, 2}, {2}},
    {{2, 3}, {3}, {2}},
    {{2, 3}, {3, 4}, {2, 4}},
    {{1, 1}, {1, 1}, {1, 1}},
    {{5, 2, 3}, {3, 4}, {5, 2, 4}},
    {{2, 3}, {5, 3, 4}, {5, 2, 4}},
    {{5, 2, 3}, {5, 3, 4}, {5, 2, 4}},
    {{5, 1, 2, 3}, {1, 6, 3, 2}, {5, 6, 2, 2}},
    {{2, 1, 2, 3}, {4, 3, 2}, {2, 4, 2, 2}},
    {{3}, {5, 3, 4}, {5, 4}},
    {{5, 2, 3}, {3}, {5, 2}},
    {{1, 2, 3}, {3}, {1, 2}},
    {{0, 3}, {3, 2}, {0, 2}},
    {{2, 0}, {0, 3}, {2, 3}},
    {{0, 2, 3}, {3, 2}, {0, 2, 2}},
    {{2, 2, 0}, {0, 2}, {2, 2, 2}},
};

TEST(MatMul, ShapesFollowNumpy) {
  for (const MatmulCase& c : matmul_cases) {
    SCOPED_TRACE(to_string(c.a) + to_string(c.b));
    EXPECT_EQ(run_op({"MatMul", {random_tensor(c.a, 1), random_tensor(c.b, 2)}})[0].dims(), c.y);
  }
}

TEST(MatMul, Values) {
  expect_close(run_op({"MatMul", {iota({2, 3}), iota({3, 2}, 1)}})[0],
               Tensor::of<double>({2, 2}, {13, 16, 40, 52}));
  expect_close(run_op({"MatMul", {iota({3}), iota({3, 2}, 1)}})[0],
               Tensor::of<double>({2}, {13, 16}));
  expect_close(run_op({"MatMul", {iota({2, 3}), iota({3}, 1)}})[0],
               Tensor::of<double>({2}, {8, 26}));
  expect_close(run_op({"MatMul", {iota({2, 1, 2}), iota({2, 2, 1})}})[0],
               Tensor::of<double>({2, 1, 1}, {1, 13}));
  expect_close(
      run_op({"MatMul", {Tensor(DType::Float64, {2, 0}), Tensor(DType::Float64, {0, 1})}})[0],
      Tensor::of<double>({2, 1}, {0, 0}));
}

TEST(MatMul, AllTypes) {
  for (DType t : {DType::Float32, DType::Float16, DType::BFloat16, DType::Int32, DType::Int64,
                  DType::UInt32, DType::UInt64}) {
    Tensor a = convert(iota({2, 2, 3}), t), b = convert(iota({3, 2}, 1), t);
    Tensor y = run_op({"MatMul", {a, b}})[0];
    expect_close(y, convert(Tensor::of<double>({2, 2, 2}, {13, 16, 40, 52, 67, 88, 94, 124}), t));
  }
}

TEST(MatMul, IntegersWrapAround) {
  Tensor a = Tensor::of<int32_t>({1, 1}, {INT32_MAX}), b = Tensor::of<int32_t>({1, 1}, {2});
  expect_close(run_op({"MatMul", {a, b}})[0], Tensor::of<int32_t>({1, 1}, {-2}));
}

TEST(MatMul, ShapesThatDoNotFitAreNamed) {
  expect_error({"MatMul", {random_tensor({2, 3}, 1), random_tensor({4, 2}, 2)}},
               "inner dimensions differ: A 'in0' is double[2,3], B 'in1' is double[4,2]");
  expect_error(
      {"MatMul", {random_tensor({2, 2, 3}, 1), random_tensor({3, 3, 2}, 2)}},
      "batch dimensions do not broadcast: A 'in0' is double[2,2,3], B 'in1' is double[3,3,2]");
  expect_error({"MatMul", {random_tensor({}, 1), random_tensor({3}, 2)}}, "at least 1 axes");
}

TEST(MatMul, Gradients) {
  for (const MatmulCase& c : matmul_cases) {
    SCOPED_TRACE(to_string(c.a) + to_string(c.b));
    check_gradient({"MatMul", {random_tensor(c.a, 1), random_tensor(c.b, 2)}},
                   {.second_order = true});
  }
}

TEST(MatMulT, AgreesWithMatMulOfTransposes) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      Dims a = ta ? Dims{2, 3, 4} : Dims{2, 4, 3}, b = tb ? Dims{2, 5, 3} : Dims{2, 3, 5};
      OpRun run{"onnxrun.MatMulT",
                {random_tensor(a, 1), random_tensor(b, 2)},
                {{"transA", int64_t{ta}}, {"transB", int64_t{tb}}}};
      Tensor left = run.inputs[0], right = run.inputs[1];
      if (ta) left = run_op({"Transpose", {left}, {{"perm", std::vector<int64_t>{0, 2, 1}}}})[0];
      if (tb) right = run_op({"Transpose", {right}, {{"perm", std::vector<int64_t>{0, 2, 1}}}})[0];
      expect_close(run_op(run)[0], run_op({"MatMul", {left, right}})[0], 1e-14, 1e-14);
      check_gradient(run, {.second_order = true});
      expect_decomposes(run);
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
