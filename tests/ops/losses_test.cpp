#include <cmath>

#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

struct LossesCase {
  const char* name;
  Dims x;
  std::vector<int64_t> classes;
  bool weights = false;
  std::optional<int64_t> ignored = {};
};

const std::vector<LossesCase> losses_cases = {
    {"plain", {3, 4}, {0, 3, 1}},
    {"weights", {3, 4}, {0, 3, 1}, true},
    {"ignored", {3, 4}, {0, -100, 1}, false, -100},
    {"weights, ignored in range", {3, 4}, {2, 3, 2}, true, 2},
    {"one axis inside", {2, 3, 2}, {0, 2, 1, 1}, true},
    {"two axes inside", {1, 3, 2, 2}, {0, 2, 7, 1}, true, 7},
};

OpRun run_of(const char* op, const LossesCase& c, const char* reduction) {
  Dims dims = c.x;
  dims.erase(dims.begin() + 1);
  OpRun run{op,
            {random_tensor(c.x, 1, -2, 2), Tensor::of<int64_t>(dims, c.classes)},
            {{"reduction", std::string(reduction)}}};
  if (c.weights) run.inputs.push_back(random_tensor({c.x[1]}, 3, 0.5, 2));
  if (c.ignored) run.attributes["ignore_index"] = *c.ignored;
  return run;
}

TEST(Losses, Gradients) {
  for (const char* op : {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}) {
    for (const LossesCase& c : losses_cases) {
      for (const char* reduction : {"none", "sum", "mean"}) {
        SCOPED_TRACE(std::string(op) + ", " + c.name + ", " + reduction);
        check_gradient(run_of(op, c, reduction), {.second_order = true});
      }
    }
  }
}

TEST(Losses, GradientsThroughTheLogSoftmax) {
  for (const LossesCase& c : losses_cases) {
    SCOPED_TRACE(c.name);
    OpRun run = run_of("SoftmaxCrossEntropyLoss", c, "mean");
    run.outputs = 2;
    check_gradient(run, {.second_order = true});
  }
}

TEST(Losses, GradientKernelsAgreeWithTheirDecompositions) {
  for (const char* op :
       {"onnxrun.NegativeLogLikelihoodLossGrad", "onnxrun.SoftmaxCrossEntropyLossGrad"}) {
    for (const LossesCase& c : losses_cases) {
      for (const char* reduction : {"none", "sum", "mean"}) {
        SCOPED_TRACE(std::string(op) + ", " + c.name + ", " + reduction);
        OpRun run = run_of(op, c, reduction);
        Dims loss = std::string(reduction) == "none" ? run.inputs[1].dims() : Dims{};
        run.inputs.insert(run.inputs.begin(), random_tensor(loss, 5));
        expect_decomposes(run, 1e-12);
      }
    }
  }
}

TEST(NegativeLogLikelihoodLoss, Values) {
  Tensor x = Tensor::of<float>({2, 2}, {-1, -2, -3, -5}), t = Tensor::of<int32_t>({2}, {1, 0}),
         w = Tensor::of<float>({2}, {1, 3});
  auto loss = [&](const char* reduction, std::vector<Tensor> inputs) {
    return run_op({"NegativeLogLikelihoodLoss",
                   std::move(inputs),
                   {{"reduction", std::string(reduction)}}})[0];
  };
  expect_close(loss("none", {x, t}), Tensor::of<float>({2}, {2, 3}));
  expect_close(loss("mean", {x, t}), Tensor::scalar(2.5f));
  expect_close(loss("sum", {x, t, w}), Tensor::scalar(9.0f));
  expect_close(loss("mean", {x, t, w}), Tensor::scalar(2.25f));
}

TEST(SoftmaxCrossEntropyLoss, LargeScoresStayFinite) {
  Tensor x = Tensor::of<float>({2, 2}, {1e4f, -1e4f, 0, 0}), t = Tensor::of<int64_t>({2}, {1, 0});
  auto out = run_op({"SoftmaxCrossEntropyLoss", {x, t}, {{"reduction", std::string("none")}}, 2});
  expect_close(out[0], Tensor::of<float>({2}, {2e4f, std::log(2.0f)}));
  expect_close(out[1], Tensor::of<float>({2, 2}, {0, -2e4f, -std::log(2.0f), -std::log(2.0f)}));
}

TEST(Losses, MistakesAreNamed) {
  Tensor x = random_tensor({2, 3}, 1);
  expect_error({"SoftmaxCrossEntropyLoss", {x, Tensor::of<int64_t>({2}, {0, 3})}},
               "class 3 at 1, expected 0 to 2");
  expect_error({"NegativeLogLikelihoodLoss", {x, Tensor::of<int64_t>({2}, {0, -1})}},
               "class -1 at 1, expected 0 to 2");
  expect_error({"NegativeLogLikelihoodLoss", {x, Tensor::of<int64_t>({3}, {0, 1, 2})}},
               "target 'in1' is int64[3], expected [2]");
  expect_error({"NegativeLogLikelihoodLoss",
                {x, Tensor::of<int64_t>({2}, {0, 1})},
                {{"reduction", std::string("max")}}},
               "'reduction' is 'max'");
}

}  // namespace

}  // namespace onnxrun::testing
