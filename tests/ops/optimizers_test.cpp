// Expected values are those of ONNX's reference implementation.
#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

const Tensor x = float_list({1, 2}), g = float_list({0.5f, -1}), v = float_list({0.1f, 0.2f}),
             h = float_list({0.3f, 0.4f});

struct OptimizersCase {
  std::string op;
  Attributes attributes;
  int64_t count;
  std::vector<Tensor> slots, expected;
};

const Attributes adam = {{"alpha", 0.9f},
                         {"beta", 0.99f},
                         {"epsilon", 1e-2f},
                         {"norm_coefficient", 0.01f},
                         {"norm_coefficient_post", 0.02f}};
const Attributes adagrad = {
    {"decay_factor", 0.1f}, {"epsilon", 1e-2f}, {"norm_coefficient", 0.01f}};
Attributes momentum(const std::string& mode) {
  return {{"alpha", 0.9f}, {"beta", 0.5f}, {"mode", mode}, {"norm_coefficient", 0.01f}};
}

const std::vector<OptimizersCase> optimizers_cases = {
    {"Adam",
     adam,
     3,
     {v, h},
     {float_list({0.9642338f, 1.9520998f}), float_list({0.141f, 0.082f}),
      float_list({0.299601f, 0.405604f})}},
    {"Adam",
     adam,
     0,
     {v, h},
     {float_list({0.9552081f, 1.9475772f}), float_list({0.141f, 0.082f}),
      float_list({0.299601f, 0.405604f})}},
    {"Adagrad",
     adagrad,
     3,
     {h},
     {float_list({0.9482715f, 2.064083f}), float_list({0.5601f, 1.3604f})}},
    {"Momentum",
     momentum("standard"),
     3,
     {v},
     {float_list({0.9655f, 2.031f}), float_list({0.345f, -0.31f})}},
    {"Momentum",
     momentum("nesterov"),
     0,
     {v},
     {float_list({0.895f, 2.17f}), float_list({0.6f, -0.8f})}}};

TEST(Optimizers, OneTensor) {
  for (const OptimizersCase& c : optimizers_cases) {
    SCOPED_TRACE(c.op + " at " + std::to_string(c.count));
    std::vector<Tensor> inputs = {Tensor::scalar(0.1f), Tensor::scalar(c.count), x, g};
    inputs.insert(inputs.end(), c.slots.begin(), c.slots.end());
    auto out =
        run_op({"ai.onnx.preview.training." + c.op, inputs, c.attributes, c.expected.size()});
    for (size_t i = 0; i < out.size(); ++i) expect_close(out[i], c.expected[i], 1e-5);
  }
}

TEST(Optimizers, SeveralTensors) {
  for (const OptimizersCase& c : optimizers_cases) {
    SCOPED_TRACE(c.op + " at " + std::to_string(c.count));
    std::vector<Tensor> inputs = {
        Tensor::scalar(0.1f), Tensor::scalar(c.count), x, x.view({2, 1}), g, g.view({2, 1})};
    for (const Tensor& slot : c.slots) inputs.insert(inputs.end(), {slot, slot.view({2, 1})});
    auto out =
        run_op({"ai.onnx.preview.training." + c.op, inputs, c.attributes, 2 * c.expected.size()});
    for (size_t i = 0; i < c.expected.size(); ++i) {
      expect_close(out[2 * i], c.expected[i], 1e-5);
      expect_close(out[2 * i + 1], c.expected[i].view({2, 1}), 1e-5);
    }
  }
}

TEST(Optimizers, Reject) {
  const Tensor rate = Tensor::scalar(0.1f), count = Tensor::scalar<int64_t>(1);
  expect_error({"ai.onnx.preview.training.Adam", {rate, count, x, g, v}, {}, 3},
               "no whole number of tensors");
  expect_error({"ai.onnx.preview.training.Momentum", {rate, count, x, g, v}, momentum("heavy"), 2},
               "mode is 'heavy'");
  expect_error({"ai.onnx.preview.training.Adagrad", {rate, count, x, float_list({1}), h}, {}, 2},
               "belongs to");
}

}  // namespace

}  // namespace onnxrun::testing
