// onnxrun.ChannelsLastConv and onnxrun.ChannelsLastMaxPool.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

using AxisLengths = std::vector<int64_t>;

const Tensor absent, lower_limit = Tensor::scalar(-0.2), upper_limit = Tensor::scalar(0.3);

std::vector<OpRun> convolutions() {
  const std::string op = "onnxrun.ChannelsLastConv";
  const Tensor x = random_tensor({2, 5, 4, 2}, 1), w = random_tensor({3, 2, 2, 3}, 2);
  const Tensor bias = random_tensor({3}, 3), line = random_tensor({2, 7, 2}, 4);
  const Attributes padded{{"pads", AxisLengths{1, 0, 0, 1}}, {"strides", AxisLengths{2, 1}}};
  const Attributes planes{{"planes", int64_t{1}}, {"auto_pad", std::string("SAME_UPPER")}};
  const Attributes depthwise{{"group", int64_t{2}}, {"kernel_shape", AxisLengths{3}}};
  return {{op, {x, w, bias, lower_limit, upper_limit}, padded},
          {op, {x, w, absent, lower_limit}},
          {op, {x, w, absent, absent, upper_limit}},
          {op, {random_tensor({2, 2, 5, 4}, 1), w, bias}, planes},
          {op, {line, random_tensor({4, 2, 1}, 5)}},
          {op, {line, random_tensor({2, 1, 3}, 6)}, depthwise},
          {op, {random_tensor({1, 3, 3, 3, 2}, 7), random_tensor({2, 2, 2, 2, 2}, 8)}}};
}

std::vector<OpRun> pools() {
  const std::string op = "onnxrun.ChannelsLastMaxPool";
  const Attributes strided{{"kernel_shape", AxisLengths{2, 3}},
                           {"strides", AxisLengths{2, 2}},
                           {"pads", AxisLengths{1, 1, 0, 1}}};
  const Attributes ceiling{{"kernel_shape", AxisLengths{2}},
                           {"strides", AxisLengths{2}},
                           {"dilations", AxisLengths{2}},
                           {"ceil_mode", int64_t{1}}};
  return {{op, {random_tensor({2, 5, 6, 3}, 1)}, strided},
          {op, {random_tensor({1, 8, 17}, 2)}, ceiling}};
}

TEST(ChannelsLastOperators, AreTheirPlanesTransposed) {
  for (const auto& runs : {convolutions(), pools()}) {
    for (const OpRun& run : runs) {
      run_op(run);
      expect_decomposes(run, 1e-12);
    }
  }
}

TEST(ChannelsLastOperators, FloatsAreTheirPlanesTransposed) {
  for (const auto& runs : {convolutions(), pools()}) {
    for (OpRun run : runs) {
      for (Tensor& t : run.inputs) {
        if (t.defined()) t = convert(t, DType::Float32);
      }
      run_op(run);
      expect_decomposes(run, 0);
    }
  }
}

TEST(ChannelsLastOperators, HaveTheGradientsOfWhatTheyAreMadeOf) {
  for (const OpRun& run : convolutions()) check_gradient(run, {.second_order = true});
  for (const OpRun& run : pools()) check_gradient(run);
}

TEST(ChannelsLastOperators, RefuseWhatDoesNotFit) {
  const Tensor x = random_tensor({2, 5, 4, 2}, 1), w = random_tensor({3, 2, 2, 3}, 2);
  expect_error({"onnxrun.ChannelsLastConv", {random_tensor({2, 2, 5, 4}, 1), w}},
               "channels of X and of W times group: 4, expected 2");
  expect_error({"onnxrun.ChannelsLastConv", {x, w, random_tensor({4}, 3)}},
               "length of the bias: 4, expected 3");
  expect_error({"onnxrun.ChannelsLastConv", {x, w, absent, random_tensor({3}, 3)}},
               "a bound must be a scalar: min 'in3' is double[3]");
  expect_error({"onnxrun.ChannelsLastMaxPool",
                {random_tensor({2, 5}, 1)},
                {{"kernel_shape", AxisLengths{2}}}},
               "expected a spatial axis");
}

}  // namespace

}  // namespace onnxrun::testing
