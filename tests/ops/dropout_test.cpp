#include <cmath>

#include "support/decomposition.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

const Tensor on = Tensor::scalar(true);

Tensor ones(Dims dims) {
  Tensor t(DType::Float32, std::move(dims));
  std::fill_n(t.data<float>(), t.size(), 1.0f);
  return t;
}

TEST(Dropout, IsTheIdentityOutsideTraining) {
  Tensor x = Tensor::of<float>({3}, {1, 2, 3}), all = Tensor::of<bool>({3}, {true, true, true});
  for (const OpRun& run :
       std::vector<OpRun>{{"Dropout", {x}, {}, 2},
                          {"Dropout", {x, Tensor::scalar(0.9f)}, {}, 2},
                          {"Dropout", {x, Tensor::scalar(0.9f), Tensor::scalar(false)}, {}, 2},
                          {"Dropout", {x, Tensor::scalar(0.0f), on}, {}, 2}}) {
    auto y = run_op(run);
    expect_close(y[0], x);
    expect_close(y[1], all);
  }
}

// np.random.seed(7); np.random.uniform(0, 1, 8) >= 0.4
TEST(Dropout, ASeedPicksWhatNumPyPicks) {
  auto y = run_op({"Dropout", {ones({8}), Tensor::scalar(0.4f), on}, {{"seed", int64_t{7}}}, 2});
  expect_close(y[1], Tensor::of<bool>({8}, {false, true, true, true, true, true, true, false}));
  float s = 1 / 0.6f;
  expect_close(y[0], Tensor::of<float>({8}, {0, s, s, s, s, s, s, 0}));
}

TEST(Dropout, WithoutASeedEveryRunDiffers) {
  OpRun run{"Dropout", {ones({20000}), Tensor::scalar(0.25f), on}};
  auto draw = [&] { return run_once(run)[0]; };
  Tensor a = draw(), b = draw();
  EXPECT_FALSE(identical(a, b));
  double mean = 0;
  for (double v : values_of(a)) mean += v / 20000;
  EXPECT_NEAR(mean, 1, 0.02);
}

TEST(Dropout, Gradient) {
  check_gradient(
      {"Dropout", {random_tensor({3, 4}, 1), Tensor::scalar(0.4), on}, {{"seed", int64_t{3}}}, 2},
      {.wrt = {0}, .second_order = true});
  check_gradient({"Dropout", {random_tensor({3, 4}, 1)}}, {.second_order = true});
}

TEST(DropoutStep, DrawsAreAFunctionOfSeedNodeAndStep) {
  auto draw = [](int64_t seed, int64_t node, int64_t step) {
    return run_op({"onnxrun.DropoutStep",
                   {ones({4096}), Tensor::scalar(0.5f), Tensor::scalar(step)},
                   {{"seed", seed}, {"node", node}},
                   2})[1];
  };
  Tensor first = draw(1, 2, 3);
  EXPECT_TRUE(identical(first, draw(1, 2, 3)));
  for (const Tensor& other : {draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)}) {
    double same = 0;
    for (int64_t i = 0; i < 4096; ++i) same += first.data<bool>()[i] == other.data<bool>()[i];
    EXPECT_NEAR(same, 2048, 200);
  }
  check_gradient({"onnxrun.DropoutStep",
                  {random_tensor({3, 4}, 1), Tensor::scalar(0.4), Tensor::scalar<int64_t>(5)},
                  {},
                  2},
                 {.wrt = {0}, .second_order = true});
}

// Which draws numbers of its own; where none is wanted both do the same.
TEST(DropoutStep, IsItsDecomposition) {
  expect_decomposes({"onnxrun.DropoutStep",
                     {random_tensor({3, 4}, 1), Tensor::scalar(0.0), Tensor::scalar<int64_t>(5)},
                     {{"seed", int64_t{7}}},
                     2});
}

TEST(Dropout, OldForms) {
  Tensor x = ones({64});
  OpRun run{"Dropout", {x}, {{"ratio", 0.5f}}, 2};
  run.opset = 7;
  auto y = run_op(run);
  expect_close(y[0], x);
  expect_close(y[1], x);  // in the data's type
  run.opset = 10;
  EXPECT_EQ(run_op(run)[1].type_text(), "bool[64]");
  run.attributes["is_test"] = int64_t{1};
  run.opset = 6;
  expect_close(run_op(run)[0], x);
  run.attributes.erase("is_test");
  double dropped = 0;
  for (double v : values_of(run_once(run)[0])) dropped += v == 0;
  EXPECT_GT(dropped, 5);
}

TEST(Dropout, Rejects) {
  expect_error({"Dropout", {ones({2}), Tensor::scalar(1.5f), on}}, "ratio is 1.5");
  expect_error({"Dropout", {ones({2}), ones({2})}}, "expected one number");
}

}  // namespace

}  // namespace onnxrun::testing
