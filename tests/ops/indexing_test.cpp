// GatherElements, GatherND, ScatterElements, ScatterND, Trilu, OneHot, CumSum, Range,
// ReverseSequence.
#include <cmath>

#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor indices(Dims dims, std::vector<int64_t> values) {
  return Tensor::of<int64_t>(std::move(dims), values);
}

Tensor floats(Dims dims, std::vector<float> values) {
  return Tensor::of<float>(std::move(dims), values);
}

TEST(GatherElements, Takes) {
  Tensor x = floats({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  expect_close(run_op({"GatherElements", {x, indices({2, 3}, {1, -1, 0, 2, 0, 0})}})[0],
               floats({2, 3}, {4, 8, 3, 7, 2, 3}));
  expect_close(
      run_op({"GatherElements", {x, indices({2, 2}, {0, 0, 1, -3})}, {{"axis", int64_t{1}}}})[0],
      floats({2, 2}, {1, 1, 5, 4}));
  expect_error({"GatherElements", {x, indices({1, 1}, {3})}}, "index 3 is not in [-3, 3)");
  expect_error({"GatherElements", {x, indices({1, 4}, {0, 0, 0, 0})}},
               "indices [1,4] do not fit data [3,3]");
  check_gradient(
      {"GatherElements", {random_tensor({3, 2}, 1), indices({4, 2}, {0, 0, 1, -1, 0, 2, 0, 0})}},
      {.second_order = true});
  check_gradient({"GatherElements",
                  {random_tensor({3, 2, 2}, 1), indices({1, 0, 2}, {})},
                  {{"axis", int64_t{-1}}}});
}

TEST(GatherND, Takes) {
  Tensor x = floats({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  expect_close(run_op({"GatherND", {x, indices({2, 2}, {0, 1, 1, -2})}})[0],
               floats({2, 2}, {2, 3, 4, 5}));
  expect_close(run_op({"GatherND", {x, indices({2, 1, 3}, {0, 0, 1, 1, 0, 1})}})[0],
               floats({2, 1}, {1, 5}));
  expect_close(run_op({"GatherND", {x, indices({2, 1}, {1, 0})}, {{"batch_dims", int64_t{1}}}})[0],
               floats({2, 2}, {2, 3, 4, 5}));
  Tensor text = Tensor::of<std::string>({2}, {"a", "b"});
  EXPECT_TRUE(identical(run_op({"GatherND", {text, indices({1, 1}, {1})}})[0],
                        Tensor::of<std::string>({1}, {"b"})));
  expect_error({"GatherND", {x, indices({1, 4}, {0, 0, 0, 0})}},
               "a tuple of 4 indices does not fit");
  expect_error({"GatherND", {x, indices({1, 1}, {2})}}, "index 2 is not in");
  check_gradient({"GatherND", {random_tensor({2, 3, 2}, 1), indices({3, 2}, {0, 1, 0, 1, 1, 2})}},
                 {.second_order = true});
  check_gradient({"GatherND",
                  {random_tensor({2, 3, 2}, 1), indices({2, 2, 1}, {0, 1, 2, 2})},
                  {{"batch_dims", int64_t{1}}}},
                 {.second_order = true});
}

OpRun scatter_elements(Tensor data, Tensor where, Tensor updates, int64_t axis,
                       const std::string& reduction) {
  return {"ScatterElements", {data, where, updates}, {{"axis", axis}, {"reduction", reduction}}};
}

TEST(ScatterElements, EveryReduction) {
  Tensor x = floats({1, 5}, {1, 2, 3, 4, 5}), i = indices({1, 3}, {1, -2, 1}),
         u = floats({1, 3}, {10, -1, 3});
  const std::vector<std::pair<std::string, std::vector<float>>> cases = {{"none", {1, 3, 3, -1, 5}},
                                                                         {"add", {1, 15, 3, 3, 5}},
                                                                         {"mul", {1, 60, 3, -4, 5}},
                                                                         {"max", {1, 10, 3, 4, 5}},
                                                                         {"min", {1, 2, 3, -1, 5}}};
  for (const auto& [reduction, expected] : cases) {
    expect_close(run_op(scatter_elements(x, i, u, 1, reduction))[0], floats({1, 5}, expected), 0, 0,
                 reduction);
    Tensor half = convert(x, DType::Float16), whole = convert(x, DType::Int32);
    expect_close(run_op(scatter_elements(half, i, convert(u, DType::Float16), 1, reduction))[0],
                 convert(floats({1, 5}, expected), DType::Float16));
    expect_close(run_op(scatter_elements(whole, i, convert(u, DType::Int32), 1, reduction))[0],
                 convert(floats({1, 5}, expected), DType::Int32));
  }
  expect_error(scatter_elements(x, i, u, 1, "mean"), "reduction is 'mean'");
  expect_error(scatter_elements(x, i, floats({1, 2}, {1, 2}), 1, "none"),
               "indices and updates differ");
  expect_error(scatter_elements(x, indices({1, 1}, {5}), floats({1, 1}, {1}), 1, "none"),
               "index 5 is not in [-5, 5)");
}

TEST(ScatterElements, Gradients) {
  // Without duplicates where they would leave it open which update wins.
  for (const char* reduction : {"none", "add", "mul", "max", "min"}) {
    SCOPED_TRACE(reduction);
    Tensor where = indices({3, 2}, {0, 1, 2, 0, 1, 2});
    check_gradient(
        scatter_elements(random_tensor({4, 2}, 1), where, random_tensor({3, 2}, 2), 0, reduction));
  }
  Tensor twice = indices({2, 3}, {0, 0, 1, 1, 1, 1});
  for (const char* reduction : {"add", "mul", "max"}) {
    SCOPED_TRACE(reduction);
    check_gradient(
        scatter_elements(random_tensor({2, 3}, 1), twice, random_tensor({2, 3}, 2), 1, reduction),
        {.second_order = std::string(reduction) != "max"});
  }
  // One zero among the updates has a derivative, and takes everybody else's.
  check_gradient(scatter_elements(Tensor::of<double>({2}, {2, 3}), int_list({0, 0, 1}),
                                  Tensor::of<double>({3}, {0, 4, 5}), 0, "mul"));
  check_gradient(scatter_elements(Tensor::of<double>({2}, {2, 3}), int_list({0, 0, 1}),
                                  Tensor::of<double>({3}, {0, 0, 5}), 0, "mul"));
}

TEST(ScatterND, PutsBlocks) {
  Tensor x = floats({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7}), i = indices({2, 1}, {2, 0}),
         u = floats({2, 2}, {-1, -2, -3, -4});
  expect_close(run_op({"ScatterND", {x, i, u}})[0], floats({4, 2}, {-3, -4, 2, 3, -1, -2, 6, 7}));
  expect_close(run_op({"ScatterND", {x, i, u}, {{"reduction", std::string("add")}}})[0],
               floats({4, 2}, {-3, -3, 2, 3, 3, 3, 6, 7}));
  expect_error({"ScatterND", {x, i, floats({2, 3}, {1, 2, 3, 4, 5, 6})}}, "expected [2,2]");
  for (const char* reduction : {"none", "add", "mul", "min"}) {
    SCOPED_TRACE(reduction);
    check_gradient({"ScatterND",
                    {random_tensor({3, 2}, 1), i, random_tensor({2, 2}, 2)},
                    {{"reduction", std::string(reduction)}}});
  }
}

TEST(Scatter, IsTheOldName) {
  expect_close(run_op({"Scatter", {floats({3}, {1, 2, 3}), int_list({1}), floats({1}, {9})}})[0],
               floats({3}, {1, 9, 3}));
  check_gradient({"Scatter",
                  {random_tensor({3, 2}, 1), Tensor::of<int64_t>({2, 2}, {2, 0, 1, 1}),
                   random_tensor({2, 2}, 2)}});
}

TEST(Trilu, KeepsATriangle) {
  Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  struct Case {
    int64_t upper, k;
    std::vector<float> expected;
  };
  for (const Case& c : std::vector<Case>{{1, 0, {1, 2, 3, 0, 5, 6}},
                                         {0, 0, {1, 0, 0, 4, 5, 0}},
                                         {1, 1, {0, 2, 3, 0, 0, 6}},
                                         {0, -1, {0, 0, 0, 4, 0, 0}},
                                         {1, INT64_MIN, {1, 2, 3, 4, 5, 6}},
                                         {0, INT64_MAX, {1, 2, 3, 4, 5, 6}},
                                         {0, -9, {0, 0, 0, 0, 0, 0}}}) {
    OpRun run{"Trilu", {x, Tensor::scalar(c.k)}, {{"upper", c.upper}}};
    expect_close(run_op(run)[0], floats({2, 3}, c.expected));
    run.inputs[0] = random_tensor({2, 2, 3}, 1);
    check_gradient(run, {.second_order = true});
  }
  expect_error({"Trilu", {floats({2}, {1, 2})}}, "expected matrices");
}

TEST(OneHot, PutsOnAndOff) {
  Tensor values = floats({2}, {-1, 5});
  expect_close(
      run_op({"OneHot", {int_list({0, 2, -1, 3, -4}), Tensor::scalar<int64_t>(3), values}})[0],
      floats({5, 3}, {5, -1, -1, -1, -1, 5, -1, -1, 5, -1, -1, -1, -1, -1, -1}));
  expect_close(
      run_op(
          {"OneHot", {floats({2}, {1, 0}), floats({1}, {2}), values}, {{"axis", int64_t{0}}}})[0],
      floats({2, 2}, {-1, 5, 5, -1}));
  expect_error({"OneHot", {int_list({0}), Tensor::scalar<int64_t>(-1), values}}, "depth is -1");
  check_gradient(
      {"OneHot", {int_list({0, 2, 5}), Tensor::scalar<int64_t>(3), random_tensor({2}, 1)}});
}

TEST(CumSum, SumsAlongAnAxis) {
  Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  struct Case {
    int64_t axis, exclusive, reverse;
    std::vector<float> expected;
  };
  for (const Case& c : std::vector<Case>{{1, 0, 0, {1, 3, 6, 4, 9, 15}},
                                         {0, 0, 0, {1, 2, 3, 5, 7, 9}},
                                         {-1, 1, 0, {0, 1, 3, 0, 4, 9}},
                                         {1, 0, 1, {6, 5, 3, 15, 11, 6}},
                                         {1, 1, 1, {5, 3, 0, 11, 6, 0}}}) {
    OpRun run{"CumSum",
              {x, Tensor::scalar(c.axis)},
              {{"exclusive", c.exclusive}, {"reverse", c.reverse}}};
    expect_close(run_op(run)[0], floats({2, 3}, c.expected));
    run.inputs[0] = random_tensor({2, 3}, 1);
    check_gradient(run, {.second_order = true});
  }
  Tensor wide = random_tensor({3, 500, 70}, 4),
         sums = run_op({"CumSum", {wide, Tensor::scalar<int32_t>(1)}})[0];
  double total = 0;
  for (int64_t i = 0; i < 500; ++i) total += wide.data<double>()[(2 * 500 + i) * 70 + 69];
  EXPECT_NEAR(sums.data<double>()[3 * 500 * 70 - 1], total, 1e-12);
  expect_error({"CumSum", {x, Tensor::scalar<int64_t>(2)}}, "axis 2");
}

TEST(Range, Counts) {
  auto range = [](Tensor a, Tensor b, Tensor c) { return run_op({"Range", {a, b, c}})[0]; };
  expect_close(
      range(Tensor::scalar<int64_t>(3), Tensor::scalar<int64_t>(10), Tensor::scalar<int64_t>(3)),
      int_list({3, 6, 9}));
  expect_close(
      range(Tensor::scalar<int32_t>(5), Tensor::scalar<int32_t>(0), Tensor::scalar<int32_t>(-2)),
      Tensor::of<int32_t>({3}, {5, 3, 1}));
  expect_close(range(Tensor::scalar(1.0f), Tensor::scalar(2.0f), Tensor::scalar(0.25f)),
               floats({4}, {1, 1.25f, 1.5f, 1.75f}));
  expect_close(
      range(Tensor::scalar<int64_t>(3), Tensor::scalar<int64_t>(3), Tensor::scalar<int64_t>(1)),
      int_list({}));
  expect_error(
      {"Range",
       {Tensor::scalar<int64_t>(0), Tensor::scalar<int64_t>(1), Tensor::scalar<int64_t>(0)}},
      "delta is 0");
  constexpr int64_t quarter = int64_t{1} << 62;
  expect_close(range(Tensor::scalar(INT64_MIN), Tensor::scalar(INT64_MAX), Tensor::scalar(quarter)),
               int_list({INT64_MIN, -quarter, 0, quarter}));
  expect_error({"Range", {Tensor::scalar(0.0), Tensor::scalar(1.0), Tensor::scalar(0.0)}},
               "no range goes from 0 to 1 by 0");
  check_gradient({"Range", {Tensor::scalar(0.5), Tensor::scalar(2.1), Tensor::scalar(0.3)}},
                 {.wrt = {0, 2}});
}

TEST(ReverseSequence, ReversesTheFirstSteps) {
  Tensor x = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  expect_close(run_op({"ReverseSequence", {x, int_list({3, 2})}})[0],
               floats({3, 2}, {5, 4, 3, 2, 1, 6}));
  OpRun rows{"ReverseSequence",
             {x, int_list({2, 0, 1})},
             {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}}};
  expect_close(run_op(rows)[0], floats({3, 2}, {2, 1, 3, 4, 5, 6}));
  Tensor text = Tensor::of<std::string>({2, 1}, {"a", "b"});
  EXPECT_TRUE(identical(run_op({"ReverseSequence", {text, int_list({2})}})[0],
                        Tensor::of<std::string>({2, 1}, {"b", "a"})));
  expect_error({"ReverseSequence", {x, int_list({4, 1})}}, "a length of 4, expected 0 to 3");
  expect_error({"ReverseSequence", {x, int_list({3})}}, "1 lengths, expected 2");
  expect_error({"ReverseSequence", {x, int_list({3, 2})}, {{"time_axis", int64_t{1}}}},
               "batch_axis 1 and time_axis 1");
  check_gradient({"ReverseSequence", {random_tensor({4, 3, 2}, 1), int_list({1, 4, 3})}},
                 {.second_order = true});
}

}  // namespace

}  // namespace onnxrun::testing
