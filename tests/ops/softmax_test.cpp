#include <cmath>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor reference(const Tensor& x, int64_t axis, bool log) {
  Tensor y = x.clone();
  int64_t inner = 1, length = x.dim(axis);
  for (int64_t i = axis + 1; i < x.rank(); ++i) inner *= x.dim(i);
  double* v = y.data<double>();
  for (int64_t start = 0; start < x.size(); ++start) {
    if (start / inner % length != 0) continue;
    double sum = 0;
    for (int64_t k = 0; k < length; ++k) sum += std::exp(v[start + k * inner]);
    for (int64_t k = 0; k < length; ++k) {
      double p = v[start + k * inner] - std::log(sum);
      v[start + k * inner] = log ? p : std::exp(p);
    }
  }
  return y;
}

const std::vector<std::pair<Dims, int64_t>> cases = {
    {{5}, 0},       {{3, 4}, 1},    {{3, 4}, 0},   {{2, 3, 4}, 1},   {{2, 1, 3}, 1}, {{0, 3}, 1},
    {{2, 0, 3}, 1}, {{7, 1000}, 1}, {{9, 130}, 0}, {{40, 3, 70}, 1}, {{150, 5}, 1},  {{70, 16}, 1},
};

TEST(Softmax, AlongAnyAxisInEveryType) {
  const std::vector<std::pair<DType, double>> types = {{DType::Float64, 1e-13},
                                                       {DType::Float32, 3e-6},
                                                       {DType::Float16, 3e-3},
                                                       {DType::BFloat16, 3e-2}};
  for (const auto& [dims, axis] : cases) {
    for (const auto& [dtype, tolerance] : types) {
      SCOPED_TRACE(to_string(dims) + " axis " + std::to_string(axis) + " " +
                   std::string(to_string(dtype)));
      Tensor x = convert(random_tensor(dims, 3, -4, 4), dtype);
      Tensor exact = convert(x, DType::Float64);
      for (bool log : {false, true}) {
        const char* op = log ? "LogSoftmax" : "Softmax";
        Tensor y = run_op({op, {x}, {{"axis", axis}}})[0];
        expect_close(convert(y, DType::Float64), reference(exact, axis, log), tolerance, tolerance,
                     op);
        Tensor same = run_op({op, {x}, {{"axis", axis - x.rank()}}})[0];
        EXPECT_TRUE(identical(y, same));
      }
    }
  }
}

// However many rows share calls of vector functions.
TEST(Softmax, RowsAloneHaveTheBitsOfTheBatch) {
  for (int64_t length : {1, 5, 10, 15, 16, 40}) {
    const Tensor x = convert(random_tensor({150, length}, 5, -9, 9), DType::Float32);
    for (const char* op : {"Softmax", "LogSoftmax"}) {
      const Tensor all = run_op({op, {x}})[0];
      for (int64_t row : {0, 63, 64, 149}) {
        const auto at = [&](const Tensor& t) {
          return t.span<float>().subspan(static_cast<size_t>(row * length),
                                         static_cast<size_t>(length));
        };
        const Tensor alone = run_op({op, {Tensor::of<float>({1, length}, at(x))}})[0];
        EXPECT_TRUE(identical(alone, Tensor::of<float>({1, length}, at(all)))) << op << length;
      }
    }
  }
}

TEST(Softmax, LargeAndInfinite) {
  Tensor x = Tensor::of<float>({2, 3}, {1e30f, 1e30f, 0, 5, -INFINITY, 5});
  expect_close(run_op({"Softmax", {x}})[0],
               Tensor::of<float>({2, 3}, {0.5f, 0.5f, 0, 0.5f, 0, 0.5f}));
  std::vector<float> long_row(40, -INFINITY);
  EXPECT_TRUE(
      std::isnan(values_of(run_op({"Softmax", {Tensor::of<float>({40}, long_row)}})[0])[3]));
  long_row[33] = -1e30f;
  EXPECT_EQ(values_of(run_op({"Softmax", {Tensor::of<float>({40}, long_row)}})[0])[33], 1);
  long_row[39] = NAN;
  EXPECT_TRUE(
      std::isnan(values_of(run_op({"Softmax", {Tensor::of<float>({40}, long_row)}})[0])[0]));
  Tensor masked = Tensor::of<float>({2}, {-INFINITY, -INFINITY});
  EXPECT_TRUE(std::isnan(values_of(run_op({"Softmax", {masked}})[0])[0]));
  Tensor nan = Tensor::of<float>({1, 9}, {0, 1, 2, 3, 4, 5, 6, 7, NAN});
  EXPECT_TRUE(std::isnan(values_of(run_op({"Softmax", {nan}})[0])[0]));
  EXPECT_TRUE(std::isnan(values_of(run_op({"LogSoftmax", {nan}})[0])[0]));
}

TEST(Softmax, BeforeOpset13AllAxesBehindCount) {
  Tensor x = random_tensor({2, 3, 4}, 7);
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    bool log = std::string(op) == "LogSoftmax";
    OpRun run{op, {x}};
    run.opset = 11;
    expect_close(run_op(run)[0], reference(x.view({2, 12}), 1, log).view({2, 3, 4}), 1e-13);
    run.attributes = {{"axis", int64_t{2}}};
    expect_close(run_op(run)[0], reference(x, 2, log), 1e-13);
    run.attributes = {{"axis", int64_t{-3}}};
    expect_close(run_op(run)[0], reference(x.view({24}), 0, log).view({2, 3, 4}), 1e-13);
  }
}

TEST(Softmax, HardmaxTakesTheFirst) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 3, 3, 2, 2, 0});
  expect_close(run_op({"Hardmax", {x}})[0], Tensor::of<float>({2, 3}, {0, 1, 0, 1, 0, 0}));
  expect_close(run_op({"Hardmax", {x}, {{"axis", int64_t{0}}}})[0],
               Tensor::of<float>({2, 3}, {0, 1, 1, 1, 0, 0}));
}

TEST(Softmax, WrongAxesAreNamed) {
  expect_error({"Softmax", {random_tensor({2, 3}, 1)}, {{"axis", int64_t{2}}}},
               "axis 2 is outside [-2,1]: input 'in0' is double[2,3]");
}

TEST(Softmax, Gradients) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const auto& [dims, axis] : std::vector<std::pair<Dims, int64_t>>{
             {{5}, 0}, {{3, 4}, 1}, {{3, 4}, 0}, {{2, 3, 2}, 1}, {{2, 1, 3}, 1}, {{0, 3}, 1}}) {
      SCOPED_TRACE(op + to_string(dims) + " axis " + std::to_string(axis));
      check_gradient({op, {random_tensor(dims, 5, -2, 2)}, {{"axis", axis}}},
                     {.second_order = true});
    }
    OpRun old{op, {random_tensor({2, 2, 3}, 6)}};
    old.opset = 9;
    check_gradient(old, {.second_order = true});
  }
}

TEST(ArgReduce, FindsFirstAndLast) {
  Tensor x = Tensor::of<int32_t>({2, 3}, {1, 3, 3, 2, 0, 2});
  auto of = [&](const char* op, int64_t axis, int64_t last) {
    return run_op(
        {op, {x}, {{"axis", axis}, {"select_last_index", last}, {"keepdims", int64_t{0}}}})[0];
  };
  expect_close(of("ArgMax", 1, 0), Tensor::of<int64_t>({2}, {1, 0}));
  expect_close(of("ArgMax", -1, 1), Tensor::of<int64_t>({2}, {2, 2}));
  expect_close(of("ArgMin", 0, 0), Tensor::of<int64_t>({3}, {0, 1, 1}));
  expect_close(run_op({"ArgMin", {x}})[0], Tensor::of<int64_t>({1, 3}, {0, 1, 1}));
}

TEST(ArgReduce, NanIsMostExtreme) {
  Tensor x = Tensor::of<float>({4}, {1, NAN, 5, NAN});
  expect_close(run_op({"ArgMax", {x}})[0], Tensor::of<int64_t>({1}, {1}));
  expect_close(run_op({"ArgMin", {x}})[0], Tensor::of<int64_t>({1}, {1}));
}

TEST(ArgReduce, NeedsElements) {
  expect_error({"ArgMax", {random_tensor({2, 0}, 1)}, {{"axis", int64_t{1}}}},
               "axis 1 has no elements");
}

}  // namespace

}  // namespace onnxrun::testing
