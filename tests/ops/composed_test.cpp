// LRN, LpNormalization, MeanVarianceNormalization, GlobalLpPool, CenterCropPad.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

void check(const OpRun& run) {
  SCOPED_TRACE(run.op);
  expect_decomposes(run);
  check_gradient(run, {.tolerance = 1e-6, .second_order = true});
}

TEST(Composed, LocalResponse) {
  for (int64_t size : {1, 2, 3, 9}) {
    Attributes a{{"size", size}, {"alpha", 0.5f}, {"beta", 0.6f}, {"bias", 2.0f}};
    check({"LRN", {random_tensor({2, 4, 2, 2}, 1)}, a});
  }
  check({"LRN", {random_tensor({1, 3, 5}, 1)}, {{"size", int64_t{3}}}});
  EXPECT_EQ(run_op({"LRN", {random_tensor({0, 3, 2, 2}, 1)}, {{"size", int64_t{3}}}})[0].dims(),
            (Dims{0, 3, 2, 2}));
  expect_error({"LRN", {random_tensor({1, 3}, 1)}, {{"size", int64_t{0}}}}, "'size' is 0");
  expect_error({"LRN", {random_tensor({3}, 1)}, {{"size", int64_t{3}}}}, "expected images");
  expect_error({"LRN", {random_tensor({1, 3}, 1)}}, "size");
}

TEST(Composed, Norms) {
  for (int64_t p : {1, 2}) {
    check({"LpNormalization", {random_tensor({2, 3, 2}, 1)}, {{"p", p}, {"axis", int64_t{1}}}});
    expect_close(run_op({"LpNormalization", {Tensor::of<float>({2}, {0, 0})}, {{"p", p}}})[0],
                 Tensor::of<float>({2}, {0, 0}));
  }
  expect_error({"LpNormalization", {random_tensor({2}, 1)}, {{"p", int64_t{3}}}}, "'p' is 3");
  expect_error({"LpNormalization", {random_tensor({2}, 1)}, {{"axis", int64_t{1}}}}, "axis 1");
  expect_error({"LpNormalization", {random_tensor({}, 1)}}, "axis -1");
}

TEST(Composed, MeanAndVariance) {
  check({"MeanVarianceNormalization", {random_tensor({2, 2, 3, 2}, 1)}});
  check({"MeanVarianceNormalization",
         {random_tensor({3, 4}, 1)},
         {{"axes", std::vector<int64_t>{-1}}}});
  expect_error({"MeanVarianceNormalization", {random_tensor({2, 2}, 1)}}, "axis 2");
  expect_error({"MeanVarianceNormalization",
                {random_tensor({2, 2}, 1)},
                {{"axes", std::vector<int64_t>{0, -2}}}},
               "axis 0 twice");
}

TEST(Composed, GlobalPool) {
  for (int64_t p : {1, 2, 3}) check({"GlobalLpPool", {random_tensor({2, 3, 2, 2}, 1)}, {{"p", p}}});
  Tensor x = Tensor::of<float>({1, 1, 2}, {3, -4});
  expect_close(run_op({"GlobalLpPool", {x}, {{"p", 2.0f}}, 1, 1})[0],
               Tensor::of<float>({1, 1, 1}, {5}));
  expect_error({"GlobalLpPool", {x}, {{"p", int64_t{0}}}}, "'p' is 0");
  expect_error({"GlobalLpPool", {x}, {{"p", 0.5f}}, 1, 1}, "expected a whole number");
  expect_error({"GlobalLpPool", {random_tensor({2, 2}, 1)}}, "axes to pool");
}

TEST(Composed, CropAndPad) {
  auto list = [](std::vector<int64_t> v) {
    return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v);
  };
  check({"CenterCropPad", {random_tensor({5, 4, 3}, 1), list({2, 7, 3})}});
  check({"CenterCropPad",
         {random_tensor({5, 4, 3}, 1), list({8, 0})},
         {{"axes", std::vector<int64_t>{-1, 0}}}});
  Tensor x = random_tensor({2, 2}, 1);
  expect_error({"CenterCropPad", {x, list({2})}}, "1 lengths for 2 axes");
  expect_error({"CenterCropPad", {x, list({2, -1})}}, "negative length");
  expect_error({"CenterCropPad", {x, list({2})}, {{"axes", std::vector<int64_t>{2}}}}, "axis 2");
  expect_error({"CenterCropPad", {x, list({INT64_MAX, 2})}}, "");
}

}  // namespace

}  // namespace onnxrun::testing
