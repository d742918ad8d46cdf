#include <cmath>

#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

TEST(LayerNormalization, ValuesAndStatistics) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 3, 2, 6}), scale = Tensor::of<float>({2}, {1, 2}),
         b = Tensor::of<float>({2}, {0, 10});
  auto out = run_op({"LayerNormalization", {x, scale, b}, {{"epsilon", 0.0f}}, 3});
  expect_close(out[0], Tensor::of<float>({2, 2}, {-1, 12, -1, 12}));
  expect_close(out[1], Tensor::of<float>({2, 1}, {2, 4}));
  expect_close(out[2], Tensor::of<float>({2, 1}, {1, 0.5}));
}

TEST(LayerNormalization, LargeMeansKeepTheirDigits) {
  Tensor x = Tensor::of<float>({1, 4}, {10000, 10001, 10002, 10003}),
         one = Tensor::of<float>({4}, {1, 1, 1, 1});
  double unit = 1 / std::sqrt(1.25);
  expect_close(
      run_op({"LayerNormalization", {x, one}, {{"epsilon", 0.0f}}})[0],
      convert(Tensor::of<double>({1, 4}, {-1.5 * unit, -0.5 * unit, 0.5 * unit, 1.5 * unit}),
              DType::Float32),
      1e-6);
}

TEST(LayerNormalization, Gradients) {
  struct Case {
    Dims x, scale, bias;
    int64_t axis;
  };
  for (const Case& c : std::vector<Case>{{{2, 3, 4}, {4}, {4}, -1},
                                         {{2, 3, 4}, {3, 4}, {3, 4}, 1},
                                         {{2, 3}, {2, 3}, {2, 3}, 0},
                                         {{2, 3, 4}, {4}, {4}, 1},
                                         {{2, 3, 4}, {1}, {2, 1, 4}, -1},
                                         {{40, 5}, {5}, {5}, 1},
                                         {{0, 3}, {3}, {3}, 1}}) {
    SCOPED_TRACE(to_string(c.x) + to_string(c.scale));
    OpRun run{"LayerNormalization",
              {random_tensor(c.x, 1), random_tensor(c.scale, 2), random_tensor(c.bias, 3)},
              {{"axis", c.axis}}};
    check_gradient(run, {.tolerance = 1e-6, .second_order = true});
    run.inputs.pop_back();
    check_gradient(run, {.tolerance = 1e-6, .second_order = true});
  }
}

TEST(LayerNormalization, GradientKernelAgreesWithItsDecomposition) {
  for (const Dims& x : {Dims{3, 5}, Dims{2, 3, 70}, Dims{70, 9}}) {
    OpRun run{"onnxrun.LayerNormalizationGrad",
              {random_tensor(x, 1), random_tensor(x, 2), random_tensor({x.back()}, 3)},
              {},
              3};
    expect_decomposes(run, 1e-10);
    run.inputs.pop_back();
    expect_decomposes(run, 1e-10);
  }
}

TEST(RmsNormalization, ValuesAndGradients) {
  Tensor x = Tensor::of<float>({1, 2}, {1, 7}), scale = Tensor::of<float>({2}, {5, 10});
  expect_close(run_op({"RMSNormalization", {x, scale}, {{"epsilon", 0.0f}}})[0],
               Tensor::of<float>({1, 2}, {1, 14}));
  Tensor half =
      run_op({"RMSNormalization", {x, convert(scale, DType::Float16)}, {{"epsilon", 0.0f}}})[0];
  expect_close(half, convert(Tensor::of<float>({1, 2}, {1, 14}), DType::Float16), 1e-3);
  OpRun run{"RMSNormalization",
            {random_tensor({2, 3, 4}, 1), random_tensor({3, 4}, 2)},
            {{"axis", int64_t{1}}}};
  check_gradient(run, {.second_order = true});
  expect_decomposes(run, 1e-12);
}

TEST(InstanceNormalization, ValuesAndGradients) {
  Tensor x = Tensor::of<float>({1, 2, 2}, {1, 3, 2, 6}), scale = Tensor::of<float>({2}, {1, 2}),
         b = Tensor::of<float>({2}, {0, 10});
  expect_close(run_op({"InstanceNormalization", {x, scale, b}, {{"epsilon", 0.0f}}})[0],
               Tensor::of<float>({1, 2, 2}, {-1, 1, 8, 12}));
  OpRun run{"InstanceNormalization",
            {random_tensor({2, 3, 2, 3}, 1), random_tensor({3}, 2), random_tensor({3}, 3)}};
  check_gradient(run, {.tolerance = 1e-6, .second_order = true});
  expect_decomposes(run, 1e-10);
}

TEST(GroupNormalization, AgreesWithItsDecomposition) {
  for (const Dims& x : {Dims{2, 4, 3}, Dims{2, 4}, Dims{1, 4, 2, 2}}) {
    OpRun run{"GroupNormalization",
              {random_tensor(x, 1), random_tensor({4}, 2), random_tensor({4}, 3)},
              {{"num_groups", int64_t{2}}}};
    expect_decomposes(run, 1e-10);
    check_gradient(run, {.tolerance = 1e-5});
  }
  Tensor x = random_tensor({1, 4, 3}, 1);
  OpRun old{"GroupNormalization",
            {x, Tensor::of<double>({2}, {2, 3}), Tensor::of<double>({2}, {4, 5})},
            {{"num_groups", int64_t{2}}}};
  old.opset = 18;
  OpRun today{"GroupNormalization",
              {x, Tensor::of<double>({4}, {2, 2, 3, 3}), Tensor::of<double>({4}, {4, 4, 5, 5})},
              {{"num_groups", int64_t{2}}}};
  expect_close(run_op(old)[0], run_op(today)[0]);
  expect_error({"GroupNormalization",
                {x, random_tensor({4}, 2), random_tensor({4}, 3)},
                {{"num_groups", int64_t{3}}}},
               "3 groups of 4 channels");
}

std::vector<Tensor> batch_inputs(const Dims& x) {
  int64_t c = x.size() > 1 ? x[1] : 1;
  return {random_tensor(x, 1), random_tensor({c}, 2), random_tensor({c}, 3), random_tensor({c}, 4),
          random_tensor({c}, 5, 0.5, 2)};
}

TEST(BatchNormalization, GivenStatistics) {
  Tensor x = Tensor::of<float>({1, 2, 2}, {1, 3, 2, 6}), two = Tensor::of<float>({2}, {2, 2}),
         mean = Tensor::of<float>({2}, {1, 2}), variance = Tensor::of<float>({2}, {1, 4});
  expect_close(
      run_op({"BatchNormalization", {x, two, two, mean, variance}, {{"epsilon", 0.0f}}})[0],
      Tensor::of<float>({1, 2, 2}, {2, 6, 2, 6}));
}

TEST(BatchNormalization, TrainingMovesTheStatistics) {
  Tensor x = Tensor::of<float>({2, 1, 1}, {1, 3}), one = Tensor::of<float>({1}, {1}),
         zero = Tensor::of<float>({1}, {0});
  Attributes a = {{"epsilon", 0.0f}, {"momentum", 0.5f}, {"training_mode", int64_t{1}}};
  auto out =
      run_op({"BatchNormalization", {x, one, zero, zero, Tensor::of<float>({1}, {3})}, a, 3});
  expect_close(out[0], Tensor::of<float>({2, 1, 1}, {-1, 1}));
  expect_close(out[1], Tensor::of<float>({1}, {1}));
  expect_close(out[2], Tensor::of<float>({1}, {2}));
}

TEST(BatchNormalization, Gradients) {
  for (const Dims& x : {Dims{4, 3}, Dims{2, 3, 2, 2}, Dims{3, 2, 4}}) {
    SCOPED_TRACE(to_string(x));
    OpRun run{"BatchNormalization", batch_inputs(x)};
    check_gradient(run, {.tolerance = 1e-6, .second_order = true});
    run.attributes["training_mode"] = int64_t{1};
    check_gradient(run, {.tolerance = 1e-6, .second_order = true});
    run.outputs = 3;
    check_gradient(run, {.tolerance = 1e-6});
  }
}

TEST(BatchNormalization, GradientKernelAgreesWithItsDecomposition) {
  for (const Dims& x : {Dims{5, 3}, Dims{2, 3, 4, 2}}) {
    std::vector<Tensor> inputs = batch_inputs(x);
    OpRun run{"onnxrun.BatchNormalizationGrad",
              {random_tensor(x, 9), inputs[0], inputs[1], inputs[3], inputs[4]},
              {},
              5};
    expect_decomposes(run, 1e-10);
    run.inputs.resize(3);
    run.outputs = 3;
    expect_decomposes(run, 1e-10);
  }
}

TEST(BatchNormalization, OldForms) {
  std::vector<Tensor> inputs = batch_inputs({2, 3, 2});
  Tensor given = run_op({"BatchNormalization", inputs})[0];
  OpRun first{"BatchNormalization",
              inputs,
              {{"is_test", int64_t{1}}, {"consumed_inputs", std::vector<int64_t>{0, 0, 0, 1, 1}}}};
  first.opset = 1;
  expect_close(run_op(first)[0], given);
  OpRun ninth{"BatchNormalization", inputs, {}, 5};
  ninth.opset = 9;
  auto saved = run_op(ninth);
  auto trained = run_op({"BatchNormalization", inputs, {{"training_mode", int64_t{1}}}, 3});
  for (size_t i = 0; i < 3; ++i) expect_close(saved[i], trained[i]);
  double mean = saved[3].data<double>()[0],
         moved = inputs[3].data<double>()[0] * 0.9f + mean * (1 - 0.9f);
  EXPECT_NEAR(trained[1].data<double>()[0], moved, 1e-7);
}

TEST(BatchNormalization, EveryActivationAChannelOfItsOwn) {
  Tensor x = random_tensor({2, 2, 3}, 1), factor = random_tensor({2, 3}, 2),
         bias = random_tensor({2, 3}, 3), mean = random_tensor({2, 3}, 4),
         variance = random_tensor({2, 3}, 5, 0.5, 2);
  OpRun run{"BatchNormalization", {x, factor, bias, mean, variance}, {{"spatial", int64_t{0}}}};
  run.opset = 7;
  auto flat = [](const Tensor& t, Dims dims) { return t.view(std::move(dims)); };
  Tensor expected = run_op({"BatchNormalization",
                            {flat(x, {2, 6}), flat(factor, {6}), flat(bias, {6}), flat(mean, {6}),
                             flat(variance, {6})}})[0];
  expect_close(run_op(run)[0], flat(expected, {2, 2, 3}));
}

}  // namespace

}  // namespace onnxrun::testing
