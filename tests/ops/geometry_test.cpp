// AffineGrid, MaxUnpool.
#include "support/decomposition.h"
#include "support/lists.h"

namespace onnxrun::testing {

namespace {

TEST(AffineGrid, Gradients) {
  for (int64_t align : {0, 1}) {
    Attributes a{{"align_corners", align}};
    OpRun flat{"AffineGrid", {random_tensor({2, 2, 3}, 1), int_list({2, 1, 3, 2})}, a};
    expect_decomposes(flat, 1e-12, std::vector<size_t>{});
    check_gradient(flat, {.second_order = true});
    check_gradient({"AffineGrid", {random_tensor({1, 3, 4}, 1), int_list({1, 1, 2, 1, 2})}, a});
  }
  EXPECT_EQ(run_op({"AffineGrid", {random_tensor({2, 2, 3}, 1), int_list({2, 1, 0, 2})}})[0].dims(),
            (Dims{2, 0, 2, 2}));
}

TEST(AffineGrid, Rejects) {
  Tensor theta = random_tensor({2, 2, 3}, 1);
  expect_error({"AffineGrid", {theta, int_list({2, 1, 3})}}, "does not go with");
  expect_error({"AffineGrid", {theta, int_list({1, 1, 3, 3})}}, "does not go with");
  expect_error({"AffineGrid", {theta, int_list({2, 1, -3, 3})}}, "negative length");
  expect_error({"AffineGrid", {random_tensor({2, 2, 2}, 1), int_list({2, 1, 3, 3})}},
               "expected [N, 2, 3]");
  expect_error({"AffineGrid", {theta, int_list({2, 1, int64_t{1} << 40, int64_t{1} << 40})}}, "");
}

TEST(MaxUnpool, Gradients) {
  Attributes a{{"kernel_shape", std::vector<int64_t>{2, 2}},
               {"strides", std::vector<int64_t>{2, 2}}};
  Tensor at = Tensor::of<int64_t>({1, 1, 2, 2}, {5, 7, 13, 15});
  OpRun run{"MaxUnpool", {random_tensor({1, 1, 2, 2}, 1), at}, a};
  expect_decomposes(run);
  check_gradient(run, {.second_order = true});
  run.inputs.push_back(int_list({1, 1, 5, 6}));
  expect_decomposes(run, 0, std::vector<size_t>{});
  check_gradient(run);
}

TEST(MaxUnpool, Rejects) {
  Attributes a{{"kernel_shape", std::vector<int64_t>{2}}, {"strides", std::vector<int64_t>{2}}};
  Tensor x = random_tensor({1, 1, 2}, 1);
  auto at = [](std::vector<int64_t> v) { return Tensor::of<int64_t>({1, 1, 2}, v); };
  expect_error({"MaxUnpool", {x, at({0, 4})}, a}, "index 4 is not in");
  expect_error({"MaxUnpool", {x, int_list({0, 1})}, a}, "does not go with");
  expect_error({"MaxUnpool", {x, at({0, 1}), int_list({1, 1, 3})}, a}, "does not hold");
  expect_error(
      {"MaxUnpool", {random_tensor({1, 1, 2, 1}, 1), Tensor(DType::Int64, {1, 1, 2, 1})}, a},
      "for a kernel of 1 axes");
  expect_error({"MaxUnpool", {x, at({0, 1})}}, "kernel_shape");
  a["strides"] = std::vector<int64_t>{int64_t{1} << 62};
  expect_error({"MaxUnpool", {x, at({0, 1})}, a}, "");
}

}  // namespace

}  // namespace onnxrun::testing
