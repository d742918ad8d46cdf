// onnxrun.SumTo.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

TEST(SumTo, UndoesBroadcasting) {
  struct Case {
    Dims from;
    std::vector<int64_t> to;
  };
  for (const Case& t : std::vector<Case>{{{2, 3}, {2, 3}},
                                         {{2, 3}, {3}},
                                         {{2, 3}, {1, 3}},
                                         {{2, 3}, {2, 1}},
                                         {{2, 3}, {}},
                                         {{4, 2, 3}, {2, 1}},
                                         {{0, 3}, {3}},
                                         {{2, 0}, {2, 1}}}) {
    OpRun run{
        "onnxrun.SumTo",
        {random_tensor(t.from, 1), Tensor::of<int64_t>({static_cast<int64_t>(t.to.size())}, t.to)}};
    Tensor y = run_op(run)[0];
    EXPECT_EQ(y.dims(), t.to);
    double x_sum = 0, y_sum = 0;
    for (double v : values_of(run.inputs[0])) x_sum += v;
    for (double v : values_of(y)) y_sum += v;
    EXPECT_NEAR(x_sum, y_sum, 1e-13);
    expect_decomposes(run);
    check_gradient(run, {.second_order = true});
  }
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  expect_close(run_op({"onnxrun.SumTo", {x, Tensor::of<int64_t>({2}, {2, 1})}})[0],
               Tensor::of<float>({2, 1}, {6, 15}));
}

}  // namespace

}  // namespace onnxrun::testing
