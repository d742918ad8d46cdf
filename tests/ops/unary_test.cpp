#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

enum class Slope { Smooth, Kinked, None };

struct UnaryRow {
  const char* op;
  std::function<double(double)> f;
  double low, high;  // where it is tried
  Slope slope = Slope::Smooth;
  Attributes attributes = {};
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::vector<UnaryRow>& rows() {
  static const std::vector<UnaryRow> all = {
      {"Neg", [](double x) { return -x; }, -3, 3},
      {"Abs", [](double x) { return std::abs(x); }, -3, 3, Slope::Kinked},
      {"Sign", [](double x) { return (x > 0) - (x < 0); }, -3, 3, Slope::None},
      {"Reciprocal", [](double x) { return 1 / x; }, 0.5, 3},
      {"Exp", [](double x) { return std::exp(x); }, -3, 3},
      {"Log", [](double x) { return std::log(x); }, 0.5, 3},
      {"Sqrt", [](double x) { return std::sqrt(x); }, 0.5, 3},
      {"Erf", [](double x) { return std::erf(x); }, -3, 3},
      {"Sin", [](double x) { return std::sin(x); }, -9, 9},
      {"Cos", [](double x) { return std::cos(x); }, -9, 9},
      {"Tan", [](double x) { return std::tan(x); }, -1, 1},
      {"Asin", [](double x) { return std::asin(x); }, -0.8, 0.8},
      {"Acos", [](double x) { return std::acos(x); }, -0.8, 0.8},
      {"Atan", [](double x) { return std::atan(x); }, -3, 3},
      {"Sinh", [](double x) { return std::sinh(x); }, -2, 2},
      {"Cosh", [](double x) { return std::cosh(x); }, -2, 2},
      {"Asinh", [](double x) { return std::asinh(x); }, -3, 3},
      {"Acosh", [](double x) { return std::acosh(x); }, 1.5, 3},
      {"Atanh", [](double x) { return std::atanh(x); }, -0.8, 0.8},
      {"Floor", [](double x) { return std::floor(x); }, -3, 3, Slope::None},
      {"Ceil", [](double x) { return std::ceil(x); }, -3, 3, Slope::None},
      {"Round", [](double x) { return std::nearbyint(x); }, -3, 3, Slope::None},
      {"Relu", [](double x) { return std::max(x, 0.0); }, -3, 3, Slope::Kinked},
      {"Sigmoid", sigmoid, -9, 9},
      {"Tanh", [](double x) { return std::tanh(x); }, -3, 3},
      {"Softplus", [](double x) { return std::log1p(std::exp(x)); }, -9, 9},
      {"Softsign", [](double x) { return x / (1 + std::abs(x)); }, -3, 3, Slope::Kinked},
      {"Gelu", [](double x) { return x * std::erfc(-x / std::sqrt(2)) / 2; }, -3, 3},
      {"Gelu",
       [](double x) {
         return x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) / 2;
       },
       -3,
       3,
       Slope::Smooth,
       {{"approximate", std::string("tanh")}}},
      {"Swish", [](double x) { return x * sigmoid(x); }, -3, 3},
      {"Swish",
       [](double x) { return x * sigmoid(2.5 * x); },
       -3,
       3,
       Slope::Smooth,
       {{"alpha", 2.5f}}},
      {"Mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }, -3, 3},
      {"LeakyRelu",
       [](double x) { return x < 0 ? 0.125 * x : x; },
       -3,
       3,
       Slope::Kinked,
       {{"alpha", 0.125f}}},
      {"ThresholdedRelu",
       [](double x) { return x > 0.25 ? x : 0; },
       -3,
       3,
       Slope::Kinked,
       {{"alpha", 0.25f}}},
      {"Shrink",
       [](double x) { return x < -0.5  ? x + 0.25
                             : x > 0.5 ? x - 0.25
                                       : 0; },
       -3,
       3,
       Slope::Kinked,
       {{"lambd", 0.5f}, {"bias", 0.25f}}},
      {"HardSigmoid",
       [](double x) { return std::clamp(x * 0.25 + 0.625, 0.0, 1.0); },
       -9,
       9,
       Slope::Kinked,
       {{"alpha", 0.25f}, {"beta", 0.625f}}},
      {"HardSwish", [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }, -9, 9,
       Slope::Kinked},
      {"Elu",
       [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); },
       -3,
       3,
       Slope::Kinked,
       {{"alpha", 1.5f}}},
      {"Selu",
       [](double x) { return x > 0 ? 1.25 * x : 1.25 * 1.5 * std::expm1(x); },
       -3,
       3,
       Slope::Kinked,
       {{"alpha", 1.5f}, {"gamma", 1.25f}}},
      {"Celu",
       [](double x) { return x > 0 ? x : 0.5 * std::expm1(x / 0.5); },
       -3,
       3,
       Slope::Kinked,
       {{"alpha", 0.5f}}},
  };
  return all;
}

Tensor expected(const UnaryRow& row, const Tensor& x) {
  Tensor y = x.clone();
  for (double& v : y.span<double>()) v = row.f(v);
  return y;
}

TEST(Unary, ValuesInEveryFloatType) {
  const std::vector<std::pair<DType, double>> types = {{DType::Float64, 1e-14},
                                                       {DType::Float32, 2e-6},
                                                       {DType::Float16, 2e-3},
                                                       {DType::BFloat16, 2e-2}};
  for (const UnaryRow& row : rows()) {
    for (const auto& [dtype, tolerance] : types) {
      if (std::string(row.op) == "Shrink" && dtype == DType::BFloat16) continue;
      for (const Dims& dims : {Dims{}, Dims{0, 3}, Dims{1}, Dims{5, 67}}) {
        SCOPED_TRACE(std::string(row.op) + " of " + std::string(to_string(dtype)) +
                     to_string(dims));
        Tensor x = convert(random_tensor(dims, 5, row.low, row.high), dtype);
        Tensor exact = expected(row, convert(x, DType::Float64));
        Tensor y = run_op({row.op, {x}, row.attributes})[0];
        ASSERT_EQ(y.dtype(), dtype);
        expect_close(convert(y, DType::Float64), exact, tolerance, tolerance);
      }
    }
  }
}

TEST(Unary, LargeTensorsAreSplitByThreads) {
  for (const char* op : {"Exp", "Relu"}) {
    Tensor x = random_tensor({3, 50000}, 9);
    Tensor y = run_op({op, {x}})[0];
    bool relu = std::string(op) == "Relu";
    for (int64_t i = 0; i < x.size(); ++i) {
      double v = x.data<double>()[i];
      ASSERT_NEAR(y.data<double>()[i], relu ? std::max(v, 0.0) : std::exp(v), 1e-14);
    }
  }
}

TEST(Unary, Gradients) {
  for (const UnaryRow& row : rows()) {
    if (row.slope == Slope::None) continue;
    for (const Dims& dims : {Dims{}, Dims{2, 0}, Dims{3, 4}}) {
      SCOPED_TRACE(std::string(row.op) + to_string(dims));
      GradientOptions options;
      options.second_order = row.slope == Slope::Smooth;
      check_gradient({row.op, {random_tensor(dims, 11, row.low, row.high)}, row.attributes},
                     options);
    }
  }
}

TEST(Unary, SpecialValues) {
  Tensor x = Tensor::of<float>({5}, {NAN, INFINITY, -INFINITY, 0.0f, -0.0f});
  auto of = [&](const char* op) { return run_op({op, {x}})[0]; };
  auto row = [](std::initializer_list<float> v) { return Tensor::of<float>({5}, v); };
  expect_close(of("Exp"), row({NAN, INFINITY, 0, 1, 1}));
  expect_close(of("Log"), row({NAN, INFINITY, NAN, -INFINITY, -INFINITY}));
  expect_close(of("Sqrt"), row({NAN, INFINITY, NAN, 0, 0}));
  expect_close(of("Tanh"), row({NAN, 1, -1, 0, 0}));
  expect_close(of("Sigmoid"), row({NAN, 1, 0, 0.5f, 0.5f}));
  expect_close(of("Relu"), row({NAN, INFINITY, 0, 0, 0}));
  expect_close(of("Abs"), row({NAN, INFINITY, INFINITY, 0, 0}));
  expect_close(of("Sign"), row({NAN, 1, -1, 0, 0}));
  expect_close(of("Sin"), row({NAN, NAN, NAN, 0, 0}));
}

TEST(Unary, HalvesRoundToEven) {
  Tensor x = Tensor::of<double>({6}, {0.5, 1.5, 2.5, -0.5, -1.5, -2.5});
  expect_close(run_op({"Round", {x}})[0], Tensor::of<double>({6}, {0, 2, 2, 0, -2, -2}));
}

TEST(Unary, IntegersWrapAround) {
  Tensor x = Tensor::of<int8_t>({3}, {-128, 5, -5});
  expect_close(run_op({"Neg", {x}})[0], Tensor::of<int8_t>({3}, {-128, -5, 5}));
  expect_close(run_op({"Abs", {x}})[0], Tensor::of<int8_t>({3}, {-128, 5, 5}));
  expect_close(run_op({"Sign", {x}})[0], Tensor::of<int8_t>({3}, {-1, 1, -1}));
  expect_close(run_op({"Relu", {x}})[0], Tensor::of<int8_t>({3}, {0, 5, 0}));
  Tensor u = Tensor::of<uint64_t>({2}, {0, 1ull << 63});
  expect_close(run_op({"Abs", {u}})[0], u);
  expect_close(run_op({"Sign", {u}})[0], Tensor::of<uint64_t>({2}, {0, 1}));
}

TEST(Unary, TypesOutsideTheStandardAreNamed) {
  expect_error({"Exp", {Tensor::of<int32_t>({1}, {1})}},
               "input 'input' ('in0') is int32[1], allowed: float, float16, double, bfloat16");
}

TEST(Unary, ShrinksIntegers) {
  OpRun run{"Shrink", {Tensor::of<int8_t>({4}, {-3, -1, 1, 3})}, {{"lambd", 1.5f}, {"bias", 1.5f}}};
  expect_close(run_op(run)[0], Tensor::of<int8_t>({4}, {-1, 0, 0, 1}));
}

TEST(Unary, GeluKnowsTwoWays) {
  expect_error({"Gelu", {Tensor::scalar(1.0)}, {{"approximate", std::string("both")}}},
               "attribute 'approximate' is 'both', expected 'none' or 'tanh'");
}

TEST(Unary, SecondDerivativesFarFromZero) {
  for (const char* op : {"Elu", "Selu", "Celu", "Softplus", "Mish"}) {
    SCOPED_TRACE(op);
    check_gradient({op, {Tensor::of<double>({2}, {-800, 800})}}, {.second_order = true});
  }
}

TEST(Unary, SeluOfOpsetOneHasFewerDigits) {
  OpRun run{"Selu", {Tensor::of<double>({1}, {2})}};
  run.opset = 1;
  expect_close(run_op(run)[0], Tensor::of<double>({1}, {2 * static_cast<double>(1.0507f)}), 1e-14);
}

TEST(Unary, ErfOfOpsetNineTakesIntegers) {
  for (DType t : {DType::Int8, DType::Int64}) {
    OpRun run{"Erf", {convert(Tensor::of<double>({4}, {-100, 0, 1, 2}), t)}};
    run.opset = 9;
    expect_close(run_op(run)[0], convert(Tensor::of<double>({4}, {-1, 0, 0, 0}), t));
  }
}

TEST(Unary, OpsetOneNamesBuffersToOverwrite) {
  OpRun run{
      "Relu", {Tensor::of<float>({2}, {-1, 1})}, {{"consumed_inputs", std::vector<int64_t>{0}}}};
  run.opset = 1;
  expect_close(run_op(run)[0], Tensor::of<float>({2}, {0, 1}));
}

}  // namespace

}  // namespace onnxrun::testing
