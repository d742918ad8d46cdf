#include <cmath>
#include <limits>

#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

const char* const all_ops[] = {"ReduceSum",    "ReduceMean",     "ReduceMax", "ReduceMin",
                               "ReduceProd",   "ReduceL1",       "ReduceL2",  "ReduceSumSquare",
                               "ReduceLogSum", "ReduceLogSumExp"};

double reduce(const std::string& op, const std::vector<double>& x) {
  double sum = 0, absolute = 0, squares = 0, product = 1, high = -inf, low = inf, exps = 0;
  for (double v : x) {
    sum += v, absolute += std::abs(v), squares += v * v, product *= v, exps += std::exp(v);
    high = std::max(high, v), low = std::min(low, v);
  }
  if (op == "ReduceSum") return sum;
  if (op == "ReduceMean") return sum / static_cast<double>(x.size());
  if (op == "ReduceMax") return high;
  if (op == "ReduceMin") return low;
  if (op == "ReduceProd") return product;
  if (op == "ReduceL1") return absolute;
  if (op == "ReduceL2") return std::sqrt(squares);
  if (op == "ReduceSumSquare") return squares;
  return op == "ReduceLogSum" ? std::log(sum) : std::log(exps);
}

// The same reduction, element by element, with kept axes.
Tensor reference(const std::string& op, const Tensor& x, const std::vector<bool>& reduced) {
  Dims dims = x.dims();
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = reduced[i] ? 1 : dims[i];
  Tensor y(DType::Float64, dims);
  std::vector<std::vector<double>> groups(static_cast<size_t>(y.size()));
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (size_t a = dims.size(); a-- > 0;) {
      int64_t index = rest % x.dims()[a];
      rest /= x.dims()[a];
      if (!reduced[a]) at += index * stride;
      stride *= dims[a];
    }
    groups[static_cast<size_t>(at)].push_back(x.data<double>()[i]);
  }
  for (size_t i = 0; i < groups.size(); ++i) y.data<double>()[i] = reduce(op, groups[i]);
  return y;
}

struct ReductionCase {
  Dims dims;
  std::vector<int64_t> axes;
};

const std::vector<ReductionCase>& cases() {
  static const std::vector<ReductionCase> all = {
      {{4}, {0}},       {{3, 4}, {1}},          {{3, 4}, {0}},
      {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}},    {{2, 3, 4}, {-1, 0}},
      {{2, 1, 3}, {1}}, {{2, 3, 2, 2}, {1, 3}}, {{1, 3, 1}, {0, 1, 2}},
      {{}, {}},         {{2, 3}, {0, 1}},       {{2, 0, 3}, {2}},
      {{33, 300}, {0}}, {{300, 33}, {1}},       {{5, 7, 150}, {1}},
  };
  return all;
}

std::vector<bool> flags(const ReductionCase& c) {
  std::vector<bool> reduced(c.dims.size(), c.axes.empty());
  for (int64_t a : c.axes)
    reduced[static_cast<size_t>(normalize_axis(a, static_cast<int64_t>(c.dims.size())))] = true;
  return reduced;
}

TEST(Reduction, AnyAxes) {
  for (const char* op : all_ops) {
    for (const ReductionCase& c : cases()) {
      SCOPED_TRACE(op + to_string(c.dims) + " over " + to_string(c.axes));
      Tensor x = random_tensor(c.dims, 3, 0.5, 1.5);
      Tensor kept = run_op({op, {x, int_list(c.axes)}})[0];
      Tensor exact = reference(op, x, flags(c));
      expect_close(kept, exact, 1e-12, 1e-12);
      Tensor pruned = run_op({op, {x, int_list(c.axes)}, {{"keepdims", int64_t{0}}}})[0];
      EXPECT_TRUE(identical(pruned.view(kept.dims()), kept));
      EXPECT_EQ(pruned.rank(),
                x.rank() - (c.axes.empty() ? x.rank() : static_cast<int64_t>(c.axes.size())));
      Tensor single = run_op({op, {convert(x, DType::Float32), int_list(c.axes)}})[0];
      expect_close(convert(single, DType::Float64), exact, 2e-6, 2e-6);
    }
  }
}

TEST(Reduction, LongRowsAreSplit) {
  Tensor x = random_tensor({2, 100000}, 3);
  for (const char* op : {"ReduceSum", "ReduceMax", "ReduceL2", "ReduceLogSumExp"}) {
    SCOPED_TRACE(op);
    expect_close(run_op({op, {x, int_list({1})}})[0], reference(op, x, {false, true}), 1e-12,
                 1e-10);
    expect_close(run_op({op, {x}})[0], reference(op, x, {true, true}), 1e-12, 1e-10);
    expect_close(run_op({op, {x, int_list({0})}})[0], reference(op, x, {true, false}), 1e-12,
                 1e-10);
  }
}

TEST(Reduction, SumsOfManyFloatsStayExact) {
  Tensor x(DType::Float32, {1 << 22});
  for (float& v : x.span<float>()) v = 0.1f;
  double exact = static_cast<double>(0.1f) * (1 << 22);
  EXPECT_EQ(values_of(run_op({"ReduceSum", {x}})[0])[0],
            static_cast<double>(static_cast<float>(exact)));
}

TEST(Reduction, WithoutAxesAllOrNone) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  expect_close(run_op({"ReduceSum", {x}})[0], Tensor::of<float>({1, 1}, {10}));
  expect_close(run_op({"ReduceSum", {x}, {{"keepdims", int64_t{0}}}})[0], Tensor::scalar(10.0f));
  Attributes noop = {{"noop_with_empty_axes", int64_t{1}}};
  expect_close(run_op({"ReduceSum", {x}, noop})[0], x);
  expect_close(run_op({"ReduceSum", {x, int_list({})}, noop})[0], x);
  expect_close(run_op({"ReduceSum", {x, int_list({})}})[0], Tensor::of<float>({1, 1}, {10}));
  expect_close(run_op({"ReduceSumSquare", {x}, noop})[0], Tensor::of<float>({2, 2}, {1, 4, 9, 16}));
}

TEST(Reduction, OverNothing) {
  Tensor x(DType::Float32, {2, 0});
  auto of = [&](const char* op) {
    return run_op({op, {x, int_list({1})}, {{"keepdims", int64_t{0}}}})[0];
  };
  auto both = [](float v) { return Tensor::of<float>({2}, {v, v}); };
  expect_close(of("ReduceSum"), both(0));
  expect_close(of("ReduceMean"), both(NAN));
  expect_close(of("ReduceProd"), both(1));
  expect_close(of("ReduceMax"), both(-INFINITY));
  expect_close(of("ReduceMin"), both(INFINITY));
  expect_close(of("ReduceL2"), both(0));
  expect_close(of("ReduceLogSum"), both(-INFINITY));
  expect_close(of("ReduceLogSumExp"), both(-INFINITY));
  Tensor ints(DType::Int32, {0});
  expect_close(run_op({"ReduceMax", {ints}})[0], Tensor::of<int32_t>({1}, {INT32_MIN}));
  expect_close(run_op({"ReduceMin", {ints}})[0], Tensor::of<int32_t>({1}, {INT32_MAX}));
}

TEST(Reduction, IntegersAndBools) {
  Tensor x = Tensor::of<int32_t>({4}, {7, 2, 2, INT32_MAX});
  expect_close(run_op({"ReduceSum", {x}})[0], Tensor::of<int32_t>({1}, {INT32_MIN + 10}));
  Tensor y = Tensor::of<int64_t>({3}, {-7, 2, 1});
  expect_close(run_op({"ReduceMean", {y}})[0], Tensor::of<int64_t>({1}, {-1}));
  expect_close(run_op({"ReduceL1", {y}})[0], Tensor::of<int64_t>({1}, {10}));
  expect_close(run_op({"ReduceL2", {y}})[0], Tensor::of<int64_t>({1}, {7}));
  expect_close(run_op({"ReduceProd", {y}})[0], Tensor::of<int64_t>({1}, {-14}));
  Tensor b = Tensor::of<bool>({2, 2}, {true, false, false, false});
  expect_close(run_op({"ReduceMax", {b, int_list({1})}})[0],
               Tensor::of<bool>({2, 1}, {true, false}));
  expect_close(run_op({"ReduceMin", {b, int_list({1})}})[0],
               Tensor::of<bool>({2, 1}, {false, false}));
}

TEST(Reduction, NanWinsAndInfinitiesAddUp) {
  Tensor x = Tensor::of<double>({3}, {1, NAN, 2});
  for (const char* op : all_ops) {
    EXPECT_TRUE(std::isnan(values_of(run_op({op, {x}})[0])[0])) << op;
  }
  EXPECT_EQ(values_of(run_op({"ReduceLogSumExp", {Tensor::of<double>({2}, {inf, 1})}})[0])[0], inf);
  EXPECT_EQ(values_of(run_op({"ReduceLogSumExp", {Tensor::of<double>({2}, {-inf, -inf})}})[0])[0],
            -inf);
  EXPECT_NEAR(values_of(run_op({"ReduceLogSumExp", {Tensor::of<double>({2}, {1000, 1000})}})[0])[0],
              1000 + std::log(2), 1e-12);
}

TEST(Reduction, OldOpsetsHaveAxesAsAttribute) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  for (const char* op : {"ReduceSum", "ReduceMax"}) {
    OpRun run{op, {x}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}}};
    run.opset = 11;
    bool sum = std::string(op) == "ReduceSum";
    expect_close(run_op(run)[0], Tensor::of<float>({2}, {sum ? 3.0f : 2.0f, sum ? 7.0f : 4.0f}));
  }
}

TEST(Reduction, WrongAxesAreNamed) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  expect_error({"ReduceSum", {x, int_list({2})}}, "axis 2");
  expect_error({"ReduceSum", {x, int_list({1, -1})}}, "axis -1 is named twice in axes [1,-1]");
}

TEST(Reduction, Gradients) {
  const std::vector<ReductionCase> some = {{{4}, {0}},       {{3, 4}, {1}}, {{2, 3, 2}, {0, 2}},
                                           {{2, 1, 3}, {1}}, {{}, {}},      {{2, 0, 3}, {2}},
                                           {{2, 2}, {}}};
  for (const char* op : all_ops) {
    for (const ReductionCase& c : some) {
      for (int64_t keepdims : {0, 1}) {
        SCOPED_TRACE(op + to_string(c.dims) + " over " + to_string(c.axes) + " keepdims " +
                     std::to_string(keepdims));
        GradientOptions options;
        std::string name = op;
        options.second_order = name != "ReduceMax" && name != "ReduceMin" && name != "ReduceL1";
        std::vector<Tensor> inputs = {random_tensor(c.dims, 21, 0.5, 2)};
        if (!c.axes.empty()) inputs.push_back(int_list(c.axes));
        check_gradient({op, inputs, {{"keepdims", keepdims}}}, options);
      }
    }
  }
}

TEST(Reduction, GradientOfProductsWithZeros) {
  check_gradient({"ReduceProd", {Tensor::of<double>({3}, {0, 2, 3})}});
  check_gradient({"ReduceProd", {Tensor::of<double>({2, 2}, {0, 0, 1, 2}), int_list({1})}});
}

}  // namespace

}  // namespace onnxrun::testing
