// onnxrun.LimitedConv and onnxrun.LimitedGemm.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

const Tensor none, low = Tensor::scalar(-0.2), high = Tensor::scalar(0.3);

std::vector<OpRun> runs() {
  const Tensor x = random_tensor({2, 2, 5}, 1), w = random_tensor({3, 2, 2}, 2);
  const Tensor a = random_tensor({3, 4}, 3), b = random_tensor({4, 5}, 4);
  const Attributes strides{{"strides", std::vector<int64_t>{2}}}, half{{"alpha", 0.5f}};
  return {{"onnxrun.LimitedConv", {x, w, random_tensor({3}, 5), low, high}, strides},
          {"onnxrun.LimitedConv", {x, w, none, low}},
          {"onnxrun.LimitedConv", {x, w, none, none, high}},
          {"onnxrun.LimitedConv", {x, w}},
          {"onnxrun.LimitedGemm", {a, b, random_tensor({5}, 5), low, high}, half},
          {"onnxrun.LimitedGemm", {a, b, none, none, high}},
          {"onnxrun.LimitedGemm", {a, b, none, low}}};
}

TEST(LimitedForm, IsTheProductClipped) {
  for (const OpRun& run : runs()) {
    run_op(run);
    expect_decomposes(run, 0);
  }
}

TEST(LimitedForm, HasTheGradientOfWhatItIsMadeOf) {
  for (const OpRun& run : runs()) check_gradient(run, {.second_order = true});
}

TEST(LimitedForm, RefusesLimitsOfManyElements) {
  expect_error({"onnxrun.LimitedGemm",
                {random_tensor({3, 4}, 1), random_tensor({4, 5}, 2), none, random_tensor({5}, 3)}},
               "a bound must be a scalar: min 'in3' is double[5]");
}

}  // namespace

}  // namespace onnxrun::testing
