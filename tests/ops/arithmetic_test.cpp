#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

TEST(Arithmetic, BroadcastsBothWays) {
  Tensor a = Tensor::of<float>({2, 1}, {1, 2}), b = Tensor::of<float>({3}, {10, 20, 30});
  expect_close(run_op({"Add", {a, b}})[0], Tensor::of<float>({2, 3}, {11, 21, 31, 12, 22, 32}));
  expect_close(run_op({"Sub", {a, b}})[0], Tensor::of<float>({2, 3}, {-9, -19, -29, -8, -18, -28}));
  expect_close(run_op({"Mul", {b, a}})[0], Tensor::of<float>({2, 3}, {10, 20, 30, 20, 40, 60}));
}

TEST(Arithmetic, IntegersTruncateAndNeverTrap) {
  Tensor a = Tensor::of<int32_t>({4}, {7, -7, INT32_MIN, 5}),
         b = Tensor::of<int32_t>({4}, {2, 2, -1, 0});
  expect_close(run_op({"Div", {a, b}})[0], Tensor::of<int32_t>({4}, {3, -3, INT32_MIN, 0}));
}

TEST(Arithmetic, OldOpsetsBroadcastFromAnAxis) {
  Tensor a = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}), b = Tensor::of<float>({2}, {10, 20});
  OpRun run{"Add", {a, b}, {{"axis", int64_t{0}}, {"broadcast", int64_t{1}}}};
  run.opset = 6;
  expect_close(run_op(run)[0], Tensor::of<float>({2, 3}, {11, 12, 13, 24, 25, 26}));
}

TEST(Arithmetic, ShapesThatDoNotFitAreNamed) {
  expect_error({"Add", {random_tensor({2, 3}, 1), random_tensor({2, 4}, 2)}},
               "shapes do not broadcast: A 'in0' is double[2,3], B 'in1' is double[2,4]");
}

TEST(Arithmetic, Gradients) {
  const std::vector<std::pair<Dims, Dims>> shapes = {{{2, 3}, {2, 3}}, {{2, 3}, {3}},
                                                     {{2, 1}, {1, 3}}, {{}, {2, 2}},
                                                     {{0, 3}, {1, 3}}, {{4}, {2, 1, 1}}};
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    for (const auto& [a, b] : shapes) {
      SCOPED_TRACE(op + to_string(a) + to_string(b));
      check_gradient({op, {random_tensor(a, 1), random_tensor(b, 2, 0.5, 2)}},
                     {.second_order = true});
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
