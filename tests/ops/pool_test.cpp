#include <limits>

#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

struct PoolCase {
  const char* name;
  Dims x;
  Attributes attributes;
  Dims y;
};

const std::vector<PoolCase> pool_cases = {
    {"plain", {2, 2, 4, 5}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}, {2, 2, 2, 2}},
    {"overlapping", {1, 1, 4, 5}, {{"kernel_shape", Ints{3, 2}}}, {1, 1, 2, 4}},
    {"pads",
     {1, 2, 3, 3},
     {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 0, 1, 2}}},
     {1, 2, 3, 3}},
    {"ceil",
     {1, 1, 4, 5},
     {{"kernel_shape", Ints{2, 3}}, {"strides", Ints{3, 3}}, {"ceil_mode", int64_t{1}}},
     {1, 1, 2, 2}},
    {"ceil, last window starts in the padding",
     {1, 1, 2, 4},
     {{"kernel_shape", Ints{1, 3}},
      {"strides", Ints{2, 2}},
      {"pads", Ints{0, 1, 0, 1}},
      {"ceil_mode", int64_t{1}}},
     {1, 1, 1, 3}},
    {"dilations",
     {1, 1, 5, 6},
     {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 3}}},
     {1, 1, 3, 3}},
    {"same, upper",
     {1, 1, 5, 4},
     {{"kernel_shape", Ints{2, 3}},
      {"strides", Ints{2, 2}},
      {"auto_pad", std::string("SAME_UPPER")}},
     {1, 1, 3, 2}},
    {"same, lower",
     {1, 1, 5, 4},
     {{"kernel_shape", Ints{2, 2}}, {"auto_pad", std::string("SAME_LOWER")}},
     {1, 1, 5, 4}},
    {"valid",
     {1, 1, 5, 4},
     {{"kernel_shape", Ints{2, 3}}, {"auto_pad", std::string("VALID")}},
     {1, 1, 4, 2}},
    {"one axis", {2, 1, 7}, {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}}, {2, 1, 3}},
    {"three axes",
     {1, 1, 3, 3, 4},
     {{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{1, 1, 2}}},
     {1, 1, 2, 2, 2}},
    {"no images", {0, 2, 4, 4}, {{"kernel_shape", Ints{2, 2}}}, {0, 2, 3, 3}},
    {"a window less than one step too long",
     {1, 2, 4, 4},
     {{"kernel_shape", Ints{6, 3}}, {"strides", Ints{2, 1}}},
     {1, 2, 0, 2}},
};

TEST(Pool, ShapesAndGradients) {
  for (const PoolCase& c : pool_cases) {
    SCOPED_TRACE(c.name);
    for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
      SCOPED_TRACE(op);
      Tensor x = random_tensor(c.x, 7, 0.5, 2);
      EXPECT_EQ(run_op({op, {x}, c.attributes})[0].dims(), c.y);
      check_gradient({op, {x}, c.attributes}, {.second_order = true});
    }
    Attributes padded = c.attributes;
    padded["count_include_pad"] = int64_t{1};
    check_gradient({"AveragePool", {random_tensor(c.x, 7)}, padded}, {.second_order = true});
  }
}

TEST(Pool, GradientKernelsAgreeWithTheirDecompositions) {
  for (const PoolCase& c : pool_cases) {
    SCOPED_TRACE(c.name);
    Tensor x = random_tensor(c.x, 1), dy = random_tensor(c.y, 2);
    // The sizes of a last window that reaches beyond the padding must be known.
    std::optional<std::vector<size_t>> symbolic;
    if (c.attributes.count("ceil_mode")) symbolic.emplace();
    expect_decomposes({"onnxrun.MaxPoolGrad", {dy, x}, c.attributes});
    Attributes rectified = c.attributes;
    rectified["rectified"] = int64_t{1};
    expect_decomposes({"onnxrun.MaxPoolGrad", {dy, x}, rectified});
    check_gradient({"onnxrun.MaxPoolGrad", {dy, x}, rectified});
    Tensor shape = Tensor::of<int64_t>({static_cast<int64_t>(c.x.size())}, c.x);
    for (int64_t include : {0, 1}) {
      Attributes a = c.attributes;
      a["count_include_pad"] = include;
      expect_decomposes({"onnxrun.AveragePoolGrad", {dy, shape}, a}, 1e-12, symbolic);
    }
    expect_decomposes({"LpPool", {x}, c.attributes}, 1e-12, symbolic);
  }
  expect_decomposes(
      {"onnxrun.MaxPoolGrad", {random_tensor({2, 3, 1, 1}, 1), random_tensor({2, 3, 4, 2}, 2)}});
}

TEST(MaxPool, ValuesAndIndices) {
  Tensor x = Tensor::of<float>({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  Attributes window = {{"kernel_shape", Ints{2, 2}}};
  auto both = run_op({"MaxPool", {x}, window, 2});
  expect_close(both[0], Tensor::of<float>({1, 1, 2, 2}, {5, 6, 8, 9}));
  expect_close(both[1], Tensor::of<int64_t>({1, 1, 2, 2}, {4, 5, 7, 8}));
  window["storage_order"] = int64_t{1};
  expect_close(run_op({"MaxPool", {x}, window, 2})[1],
               Tensor::of<int64_t>({1, 1, 2, 2}, {4, 7, 5, 8}));
}

TEST(MaxPool, TheFirstOfEqualsWinsAndNaNStays) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor x = Tensor::of<float>({1, 1, 2, 3}, {2, 2, nan, 2, 2, 1});
  auto both = run_op({"MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}}, 2});
  expect_close(both[0], Tensor::of<float>({1, 1, 1, 2}, {2, nan}));
  expect_close(both[1], Tensor::of<int64_t>({1, 1, 1, 2}, {0, 2}));
}

TEST(MaxPool, SmallIntegersAndShortFloats) {
  Tensor x = Tensor::of<double>({1, 1, 2, 2}, {3, 1, 4, 2});
  for (DType t : {DType::Int8, DType::UInt8, DType::Float16, DType::BFloat16, DType::Float32}) {
    auto both = run_op({"MaxPool", {convert(x, t)}, {{"kernel_shape", Ints{2, 2}}}, 2});
    expect_close(both[0], convert(Tensor::of<double>({1, 1, 1, 1}, {4}), t));
    expect_close(run_op({"MaxPool", {convert(x, t)}, {{"kernel_shape", Ints{2, 2}}}})[0], both[0]);
  }
}

TEST(AveragePool, PaddingCountsIfAskedFor) {
  Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4});
  Attributes a = {
      {"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 0}}, {"strides", Ints{2, 2}}};
  expect_close(run_op({"AveragePool", {x}, a})[0], Tensor::of<float>({1, 1, 1, 1}, {1}));
  a["count_include_pad"] = int64_t{1};
  expect_close(run_op({"AveragePool", {x}, a})[0], Tensor::of<float>({1, 1, 1, 1}, {0.25}));
}

TEST(AveragePool, WhatLiesBehindThePaddingNeverCounts) {
  Tensor x = Tensor::of<float>({1, 1, 3}, {1, 2, 3});
  Attributes a = {{"kernel_shape", Ints{2}},
                  {"strides", Ints{2}},
                  {"ceil_mode", int64_t{1}},
                  {"count_include_pad", int64_t{1}}};
  expect_close(run_op({"AveragePool", {x}, a})[0], Tensor::of<float>({1, 1, 2}, {1.5, 3}));
}

TEST(LpPool, Norms) {
  Tensor x = Tensor::of<float>({1, 1, 3}, {3, -4, 1});
  Attributes a = {{"kernel_shape", Ints{2}}};
  expect_close(run_op({"LpPool", {x}, a})[0], Tensor::of<float>({1, 1, 2}, {5, 4.1231056f}));
  a["p"] = int64_t{1};
  expect_close(run_op({"LpPool", {x}, a})[0], Tensor::of<float>({1, 1, 2}, {7, 5}));
  OpRun old{"LpPool", {x}, {{"kernel_shape", Ints{2}}, {"p", 1.0f}}};
  old.opset = 1;
  expect_close(run_op(old)[0], Tensor::of<float>({1, 1, 2}, {7, 5}));
}

TEST(GlobalPool, ValuesAndGradients) {
  Tensor x = Tensor::of<float>({1, 2, 2, 2}, {1, 2, 3, 4, 8, 7, 6, 5});
  expect_close(run_op({"GlobalAveragePool", {x}})[0], Tensor::of<float>({1, 2, 1, 1}, {2.5, 6.5}));
  expect_close(run_op({"GlobalMaxPool", {x}})[0], Tensor::of<float>({1, 2, 1, 1}, {4, 8}));
  for (const Dims& dims : {Dims{2, 3, 4}, Dims{1, 2, 2, 3}, Dims{2, 1, 2, 2, 2}, Dims{0, 2, 3}}) {
    check_gradient({"GlobalAveragePool", {random_tensor(dims, 1)}}, {.second_order = true});
    check_gradient({"GlobalMaxPool", {random_tensor(dims, 1)}}, {.second_order = true});
  }
}

TEST(Pool, MistakesAreNamed) {
  Tensor x = random_tensor({1, 1, 4, 4}, 1);
  expect_error({"MaxPool", {x}, {{"kernel_shape", Ints{2}}}},
               "a window of 1 axes, but X has 2 spatial axes");
  expect_error({"MaxPool", {x}, {{"kernel_shape", Ints{6, 2}}}},
               "a window of 6 positions does not fit axis 2 of 4");
  expect_error({"MaxPool", {x}, {{"kernel_shape", Ints{5, 2}}, {"ceil_mode", int64_t{1}}}},
               "a window of 5 positions does not fit axis 2 of 4");
  expect_error({"MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{-1, 0, 0, 0}}}},
               "attribute 'pads' holds -1");
  expect_error(
      {"AveragePool", {x}, {{"kernel_shape", Ints{2, 2}}, {"auto_pad", std::string("SAME")}}},
      "attribute 'auto_pad' is 'SAME'");
}

}  // namespace

}  // namespace onnxrun::testing
