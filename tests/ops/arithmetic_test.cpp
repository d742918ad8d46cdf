#include "builtin_ops.h"
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

// A cast to int64 of what had wrapped was folded to the number that had not.
TEST(Arithmetic, FollowedIntegersWrap) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId three = b.constant(Tensor::of<int32_t>({1}, {3}));
  ValueId small = b.add("Mul", {three, three});
  ValueId wrapped = b.add("Mul", {b.constant(Tensor::of<int32_t>({1}, {INT32_MAX})), three});
  ASSERT_TRUE(graph.value(small).content);
  EXPECT_EQ(to_string(*graph.value(small).content), "[9]");
  EXPECT_FALSE(graph.value(wrapped).content);
  ValueId most = b.ints({INT64_MAX});
  ValueId sum = b.add("Add", {most, most}), product = b.add("Mul", {most, b.ints({3})});
  EXPECT_EQ(to_string(*graph.value(sum).content), "[-2]");
  EXPECT_EQ(to_string(*graph.value(product).content), "[9223372036854775805]");
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
