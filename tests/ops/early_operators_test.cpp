// Operators of the first exporters. The numbers are those of their formulas; ONNX Runtime's are in
// tests/interop/test_odd_files.py.
#include <cmath>

#include "ops/type_rows.h"
#include "support/decomposition.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

const Attributes half_and_two{{"alpha", 0.5f}, {"beta", 2.0f}};

void check(const OpRun& run, const Tensor& expected) {
  SCOPED_TRACE(run.op);
  expect_close(run_op(run)[0], expected, 1e-12);
  expect_decomposes(run, 1e-12, std::vector<size_t>{});
  check_gradient(run, {.second_order = true});
}

TEST(EarlyOperators, FunctionsOfAnElement) {
  Tensor x = Tensor::of<double>({3}, {-1, 0, 2});
  check({"Affine", {x}, half_and_two}, Tensor::of<double>({3}, {1.5, 2, 3}));
  check({"Affine", {x}}, x);
  check({"Scale", {x}, {{"scale", -2.0f}}}, Tensor::of<double>({3}, {2, 0, -4}));
  check({"ScaledTanh", {x}, half_and_two},
        Tensor::of<double>({3}, {std::tanh(-2.0) / 2, 0, std::tanh(4.0) / 2}));
  auto softplus = [](double v) { return std::log1p(std::exp(2 * v)) / 2; };
  check({"ParametricSoftplus", {x}, half_and_two},
        Tensor::of<double>({3}, {softplus(-1), softplus(0), softplus(2)}));
}

TEST(EarlyOperators, Images) {
  Tensor x = Tensor::of<double>({1, 2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  check({"ImageScaler", {x}, {{"scale", 2.0f}, {"bias", std::vector<float>{1, -1}}}},
        Tensor::of<double>({1, 2, 2, 3}, {3, 5, 7, 9, 11, 13, 13, 15, 17, 19, 21, 23}));
  check({"Crop", {x}, {{"border", Ints{1, 0, 0, 1}}}},
        Tensor::of<double>({1, 2, 1, 2}, {2, 3, 8, 9}));
  check({"Crop", {x}, {{"border", Ints{1, 1, 0, 0}}, {"scale", Ints{1, 1}}}},
        Tensor::of<double>({1, 2, 1, 1}, {5, 11}));
  EXPECT_EQ(run_op({"Crop", {x}, {{"border", Ints{3, 0, 0, 0}}}})[0].size(), 0);
}

TEST(EarlyOperators, DynamicSlice) {
  Tensor x = random_tensor({3, 4}, 1), one = Tensor::of<int64_t>({1}, {1});
  OpRun run{"DynamicSlice", {x, one, Tensor::of<int64_t>({1}, {-1}), one}};
  expect_close(run_op(run)[0], run_op({"Slice", run.inputs})[0]);
  expect_decomposes(run, 0, std::vector<size_t>{});
  check_gradient(run);
  run.inputs.pop_back();
  EXPECT_EQ(run_op(run)[0].dims(), (Dims{1, 4}));
  expect_error({"DynamicSlice", {x, one, one, Tensor::of<int64_t>({1}, {2})}}, "axis");
}

TEST(EarlyOperators, Rejects) {
  Tensor x = random_tensor({1, 2, 2, 3}, 1);
  expect_error({"ImageScaler", {x}, {{"bias", std::vector<float>{1}}}}, "1 biases");
  expect_error({"ImageScaler", {random_tensor({2, 3}, 1)}}, "expected rank 4");
  expect_error({"Crop", {x}, {{"border", Ints{1, 1}}}}, "expected 4 numbers");
  expect_error({"Crop", {x}}, "expected 4 numbers");
  expect_error({"Crop", {x}, {{"border", Ints{-1, 0, 0, 0}}}}, "expected 4 numbers");
  expect_error({"Crop", {x}, {{"border", Ints{2, 0, 2, 0}}}}, "less than 4 pixels along axis 3");
  expect_error({"Crop", {x}, {{"border", Ints{0, 0, 0, 0}}, {"scale", Ints{INT64_MAX, 1}}}},
               "expected 2 numbers");
  expect_error({"Crop", {x}, {{"border", Ints{0, 1, 0, 0}}, {"scale", Ints{2, 1}}}},
               "less than 3 pixels along axis 2");
}

}  // namespace

std::vector<Row> early_rows() {
  const Dims image = {1, 2, 2, 2};
  return {
      {"Affine", {{{3}}}, half_and_two},
      {"ParametricSoftplus", {{{3}}}, half_and_two},
      {"Scale", {{{3}}}, {{"scale", 2.0f}}},
      {"ScaledTanh", {{{3}}}, half_and_two},
      {"ImageScaler", {{image}}, {{"bias", std::vector<float>{1, 2}}}},
      {"Crop", {{image}}, {{"border", Ints{1, 0, 0, 1}}}},
      {"DynamicSlice", {{{3, 4}}, {{1}, {1}}, {{1}, {3}}}},
  };
}

}  // namespace onnxrun::testing
