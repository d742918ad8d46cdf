// Operators of domain ai.onnx.ml. The numbers are ONNX Runtime's.
#include "ops/type_rows.h"
#include "support/decomposition.h"
#include "support/op_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

std::string ml(const char* name) { return std::string("ai.onnx.ml.") + name; }

Tensor rows() { return Tensor::of<float>({3, 3}, {1, -4, 2, 0, 0, 0, -1, -2, -3}); }

struct Case {
  OpRun run;
  Tensor expected;
};

std::vector<Case> cases() {
  Tensor x = rows(), two = Tensor::of<float>({2, 2}, {1, -4, 0, 0});
  Floats weights = {0.1f, 0.2f, 0.3f, 0.4f};
  return {
      {{ml("Normalizer"), {x}}, Tensor::of<float>({3, 3}, {0.5f, -2, 1, 0, 0, 0, 1, 2, 3})},
      {{ml("Normalizer"), {x}, {{"norm", std::string("L1")}}},
       Tensor::of<float>({3, 3}, {0.142857149f, -0.5714286f, 0.285714298f, 0, 0, 0, -0.166666672f,
                                  -0.333333343f, -0.5f})},
      {{ml("Normalizer"), {x}, {{"norm", std::string("L2")}}},
       Tensor::of<float>({3, 3}, {0.218217894f, -0.872871578f, 0.43643579f, 0, 0, 0, -0.267261237f,
                                  -0.534522474f, -0.80178374f})},
      {{ml("Scaler"), {x}, {{"offset", Floats{1, 2, 3}}, {"scale", Floats{0.5f, 1, 2}}}},
       Tensor::of<float>({3, 3}, {0, -6, -2, -0.5f, -2, -6, -1, -4, -12})},
      {{ml("LinearRegressor"),
        {two},
        {{"coefficients", weights}, {"intercepts", Floats{0.1f, 0.2f}}, {"targets", int64_t{2}}}},
       Tensor::of<float>({2, 2}, {-0.599999964f, -1.0999999f, 0.1f, 0.2f})},
      {{ml("LinearRegressor"),
        {two},
        {{"coefficients", weights},
         {"intercepts", Floats{0.1f, 0.2f}},
         {"targets", int64_t{2}},
         {"post_transform", std::string("SOFTMAX")}}},
       Tensor::of<float>({2, 2}, {0.622459352f, 0.377540678f, 0.475020826f, 0.524979174f})},
      {{ml("FeatureVectorizer"), {x, x}, {{"inputdimensions", Ints{4, 2}}}},
       Tensor::of<float>({3, 6}, {1, -4, 2, 0, 1, -4, 0, 0, 0, 0, 0, 0, -1, -2, -3, 0, -1, -2})},
      {{ml("ArrayFeatureExtractor"), {x, Tensor::of<int64_t>({1, 2}, {2, 0})}},
       Tensor::of<float>({3, 2}, {2, 1, 0, 0, -3, -1})},
  };
}

// Results are float, however the input is given: differences need wide steps.
TEST(MachineLearning, FeaturesAsOnnxRuntimeHasThem) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.run.op);
    expect_close(run_op(c.run)[0], c.expected, 1e-5, 1e-6);
    expect_decomposes(c.run, 1e-6, std::vector<size_t>{});
    OpRun run = c.run;
    for (Tensor& t : run.inputs) {
      if (t.dtype() == DType::Float32) t = random_tensor(t.dims(), 3, 1, 2);
    }
    check_gradient(run, {.step = 1e-2, .tolerance = 1e-3});
  }
}

TEST(MachineLearning, Binarizer) {
  OpRun run{ml("Binarizer"), {rows()}, {{"threshold", 1.0f}}};
  expect_close(run_op(run)[0], Tensor::of<float>({3, 3}, {0, 0, 1, 0, 0, 0, 0, 0, 0}));
  expect_decomposes(run, 0, std::vector<size_t>{});
}

TEST(MachineLearning, Rejects) {
  Tensor x = rows(), scalar = Tensor::scalar(1.0f);
  expect_error({ml("Scaler"), {x}, {{"offset", Floats{1, 2}}}}, "'offset' has 2 numbers");
  expect_error({ml("Scaler"), {x}, {{"scale", Floats{}}}}, "'scale' has 0 numbers");
  expect_error({ml("Scaler"), {scalar}}, "expected features");
  expect_error({ml("Normalizer"), {x}, {{"norm", std::string("L3")}}}, "'L3'");
  expect_error({ml("Normalizer"), {scalar}}, "expected features");
  expect_error({ml("LinearRegressor"), {x}}, "'coefficients' is missing");
  expect_error({ml("LinearRegressor"), {x}, {{"coefficients", Floats{1, 2}}}}, "2 coefficients");
  Attributes none{{"coefficients", Floats{1, 2, 3}}, {"targets", int64_t{0}}};
  expect_error({ml("LinearRegressor"), {x}, none}, "0 targets");
  Attributes many{{"coefficients", Floats{1, 2, 3}}, {"intercepts", Floats{1, 2}}};
  expect_error({ml("LinearRegressor"), {x}, many}, "2 intercepts");
  Attributes probit{{"coefficients", Floats{1, 2, 3}}, {"post_transform", std::string("PROBIT")}};
  expect_error({ml("LinearRegressor"), {x}, probit}, "'PROBIT'");
  expect_error({ml("FeatureVectorizer"), {x}}, "0 lengths");
  expect_error({ml("FeatureVectorizer"), {x}, {{"inputdimensions", Ints{-1}}}}, "is -1");
  expect_error({ml("FeatureVectorizer"), {x}, {{"inputdimensions", Ints{INT64_MAX}}}}, "a length");
  expect_error({ml("ArrayFeatureExtractor"), {x, Tensor::of<int64_t>({1}, {3})}}, "3");
  expect_error({ml("ArrayFeatureExtractor"), {x, Tensor(DType::Int64, {0})}}, "no feature");
}

}  // namespace

std::vector<Row> ml_rows() {
  const Dims m = {2, 3};
  return {
      {ml("Normalizer"), {{m}}},
      {ml("Scaler"), {{m}}, {{"offset", Floats{1}}, {"scale", Floats{0.5f}}}},
      {ml("LinearRegressor"), {{m}}, {{"coefficients", Floats{1, 2, 3}}}},
      {ml("Binarizer"), {{m}}, {{"threshold", 2.0f}}},
      {ml("FeatureVectorizer"), {{m}}, {{"inputdimensions", Ints{2}}}},
      {ml("ArrayFeatureExtractor"), {{m}, {{2}, {0, 2}}}},
  };
}

}  // namespace onnxrun::testing
