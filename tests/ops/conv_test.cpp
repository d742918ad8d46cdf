#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

struct ConvCase {
  const char* name;
  Dims x, w;
  Attributes attributes;
  Dims y;
  bool bias = false;
};

const std::vector<ConvCase> conv_cases = {
    {"plain", {2, 3, 5, 4}, {2, 3, 3, 2}, {}, {2, 2, 3, 3}, true},
    {"pads", {1, 2, 4, 4}, {3, 2, 3, 3}, {{"pads", Ints{1, 0, 2, 1}}}, {1, 3, 5, 3}},
    {"strides",
     {1, 1, 7, 6},
     {2, 1, 3, 2},
     {{"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 0, 1}}},
     {1, 2, 3, 3},
     true},
    {"stride leaves a rest", {1, 1, 6, 6}, {1, 1, 3, 3}, {{"strides", Ints{2, 2}}}, {1, 1, 2, 2}},
    {"dilations", {1, 2, 6, 7}, {2, 2, 2, 3}, {{"dilations", Ints{3, 2}}}, {1, 2, 3, 3}},
    {"groups", {2, 4, 4, 4}, {6, 2, 2, 2}, {{"group", int64_t{2}}}, {2, 6, 3, 3}, true},
    {"depthwise",
     {1, 3, 4, 4},
     {3, 1, 3, 3},
     {{"group", int64_t{3}}, {"pads", Ints{1, 1, 1, 1}}},
     {1, 3, 4, 4}},
    {"pointwise", {2, 3, 2, 3}, {4, 3, 1, 1}, {}, {2, 4, 2, 3}, true},
    {"pointwise, strided", {1, 3, 4, 5}, {2, 3, 1, 1}, {{"strides", Ints{2, 2}}}, {1, 2, 2, 3}},
    {"one axis",
     {2, 2, 7},
     {3, 2, 3},
     {{"strides", Ints{2}}, {"pads", Ints{1, 1}}},
     {2, 3, 4},
     true},
    {"three axes",
     {1, 2, 3, 4, 3},
     {2, 2, 2, 2, 2},
     {{"strides", Ints{1, 2, 1}}, {"pads", Ints{0, 1, 0, 1, 0, 0}}},
     {1, 2, 3, 2, 2}},
    {"four axes", {1, 1, 2, 2, 2, 3}, {1, 1, 2, 1, 2, 2}, {}, {1, 1, 1, 2, 1, 2}},
    {"same, upper",
     {1, 1, 5, 6},
     {1, 1, 3, 2},
     {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}},
     {1, 1, 3, 3}},
    {"same, lower",
     {1, 1, 4, 5},
     {1, 1, 2, 4},
     {{"auto_pad", std::string("SAME_LOWER")}},
     {1, 1, 4, 5}},
    {"same, smaller than the stride",
     {1, 1, 7, 7},
     {1, 1, 1, 2},
     {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{3, 3}}},
     {1, 1, 3, 3}},
    {"valid",
     {1, 1, 4, 5},
     {1, 1, 2, 4},
     {{"auto_pad", std::string("VALID")}, {"pads", Ints{9, 9, 9, 9}}},
     {1, 1, 3, 2}},
    {"only padding",
     {1, 1, 1, 1},
     {1, 1, 2, 2},
     {{"pads", Ints{3, 3, 3, 3}}, {"strides", Ints{2, 2}}},
     {1, 1, 3, 3}},
    {"no images", {0, 2, 4, 4}, {3, 2, 3, 3}, {}, {0, 3, 2, 2}, true},
    {"a window one step too long", {1, 2, 4, 4}, {3, 2, 5, 3}, {}, {1, 3, 0, 2}, true},
};

OpRun run_of(const ConvCase& c) {
  OpRun run{"Conv", {random_tensor(c.x, 1), random_tensor(c.w, 2)}, c.attributes};
  if (c.bias) run.inputs.push_back(random_tensor({c.w[0]}, 3));
  return run;
}

// The definition, element by element, for two spatial axes.
Tensor reference(const OpRun& run, const Dims& out, const Ints& pads, const Ints& strides,
                 const Ints& dilations, int64_t group) {
  const Tensor &x = run.inputs[0], &w = run.inputs[1];
  Tensor y(DType::Float64, out);
  int64_t per_group = out[1] / group, at = 0;
  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t m = 0; m < out[1]; ++m) {
      for (int64_t oh = 0; oh < out[2]; ++oh) {
        for (int64_t ow = 0; ow < out[3]; ++ow, ++at) {
          double sum = run.inputs.size() > 2 ? run.inputs[2].data<double>()[m] : 0;
          for (int64_t c = 0; c < w.dim(1); ++c) {
            for (int64_t kh = 0; kh < w.dim(2); ++kh) {
              for (int64_t kw = 0; kw < w.dim(3); ++kw) {
                int64_t h = oh * strides[0] - pads[0] + kh * dilations[0];
                int64_t v = ow * strides[1] - pads[1] + kw * dilations[1];
                if (h < 0 || h >= x.dim(2) || v < 0 || v >= x.dim(3)) continue;
                int64_t channel = m / per_group * w.dim(1) + c;
                sum += x.data<double>()[((n * x.dim(1) + channel) * x.dim(2) + h) * x.dim(3) + v] *
                       w.data<double>()[((m * w.dim(1) + c) * w.dim(2) + kh) * w.dim(3) + kw];
              }
            }
          }
          y.data<double>()[at] = sum;
        }
      }
    }
  }
  return y;
}

TEST(Conv, Shapes) {
  for (const ConvCase& c : conv_cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(run_op(run_of(c))[0].dims(), c.y);
  }
}

TEST(Conv, ValuesFollowTheDefinition) {
  for (const ConvCase& c : conv_cases) {
    if (c.x.size() != 4 || c.attributes.count("auto_pad")) continue;
    SCOPED_TRACE(c.name);
    auto list = [&](const char* name, Ints fallback) {
      auto it = c.attributes.find(name);
      return it == c.attributes.end() ? fallback : std::get<Ints>(it->second);
    };
    int64_t group = c.attributes.count("group") ? std::get<int64_t>(c.attributes.at("group")) : 1;
    OpRun run = run_of(c);
    expect_close(run_op(run)[0],
                 reference(run, c.y, list("pads", {0, 0, 0, 0}), list("strides", {1, 1}),
                           list("dilations", {1, 1}), group),
                 1e-12, 1e-12);
  }
}

TEST(Conv, ManyTilesAndManyImages) {
  for (const auto& [x, w] : std::vector<std::pair<Dims, Dims>>{{{2, 40, 41, 37}, {5, 40, 3, 3}},
                                                               {{37, 3, 6, 5}, {4, 3, 3, 3}},
                                                               {{1, 64, 9, 9}, {8, 64, 5, 5}}}) {
    OpRun run{"Conv",
              {random_tensor(x, 1), random_tensor(w, 2), random_tensor({w[0]}, 3)},
              {{"pads", Ints{1, 1, 1, 1}}}};
    Dims out = {x[0], w[0], x[2] + 3 - w[2], x[3] + 3 - w[3]};
    expect_close(run_op(run)[0], reference(run, out, {1, 1, 1, 1}, {1, 1}, {1, 1}, 1), 1e-11,
                 1e-11);
  }
}

TEST(Conv, ShortFloatsComputeInFloat) {
  Tensor x = random_tensor({1, 2, 4, 4}, 1), w = random_tensor({2, 2, 3, 3}, 2),
         b = random_tensor({2}, 3);
  for (auto [type, tolerance] : {std::pair{DType::Float16, 2e-3}, {DType::BFloat16, 2e-2}}) {
    Tensor y = run_op({"Conv", {convert(x, type), convert(w, type), convert(b, type)}})[0];
    EXPECT_EQ(y.dtype(), type);
    expect_close(convert(y, DType::Float64), run_op({"Conv", {x, w, b}})[0], tolerance, tolerance);
  }
}

TEST(Conv, Gradients) {
  for (const ConvCase& c : conv_cases) {
    SCOPED_TRACE(c.name);
    check_gradient(run_of(c), {.second_order = true});
  }
}

TEST(Conv, MistakesAreNamed) {
  Tensor x = random_tensor({1, 2, 4, 4}, 1), w = random_tensor({2, 2, 3, 3}, 2);
  expect_error({"Conv", {x, random_tensor({2, 3, 3, 3}, 2)}},
               "channels of X and of W times group: 2, expected 3");
  expect_error({"Conv", {x, w, random_tensor({3}, 3)}}, "length of the bias: 3, expected 2");
  expect_error({"Conv", {x, w}, {{"strides", Ints{0, 1}}}}, "attribute 'strides' holds 0");
  expect_error({"Conv", {x, w}, {{"pads", Ints{1, 1}}}}, "expected");
  expect_error({"Conv", {x, w}, {{"group", int64_t{0}}}}, "attribute 'group' is 0");
  expect_error({"Conv", {x, w}, {{"kernel_shape", Ints{3, 2}}}},
               "attribute 'kernel_shape' says 2 for axis 3, W has 3");
  expect_error({"Conv", {x, random_tensor({2, 2, 6, 3}, 2)}},
               "a window of 6 positions does not fit axis 2 of 4");
  expect_error({"Conv", {random_tensor({2, 2}, 1), random_tensor({2, 2}, 2)}},
               "at least one spatial axis");
}

const std::vector<ConvCase> transposed = {
    {"plain", {2, 3, 3, 4}, {3, 2, 3, 2}, {}, {2, 2, 5, 5}, true},
    {"strides", {1, 2, 3, 3}, {2, 1, 3, 2}, {{"strides", Ints{3, 2}}}, {1, 1, 9, 6}},
    {"pads",
     {1, 1, 3, 3},
     {1, 2, 3, 3},
     {{"strides", Ints{3, 2}}, {"pads", Ints{1, 2, 1, 2}}},
     {1, 2, 7, 3}},
    {"output padding",
     {1, 1, 3, 3},
     {1, 1, 3, 3},
     {{"strides", Ints{3, 2}}, {"output_padding", Ints{2, 1}}, {"pads", Ints{1, 0, 0, 1}}},
     {1, 1, 10, 7},
     true},
    {"much output padding",
     {1, 1, 2, 2},
     {1, 1, 2, 2},
     {{"dilations", Ints{3, 3}}, {"output_padding", Ints{2, 1}}},
     {1, 1, 7, 6}},
    {"output shape",
     {1, 1, 3, 3},
     {1, 2, 3, 3},
     {{"strides", Ints{3, 2}}, {"output_shape", Ints{10, 8}}},
     {1, 2, 10, 8}},
    {"smaller output shape",
     {1, 1, 3, 3},
     {1, 1, 4, 3},
     {{"strides", Ints{2, 2}}, {"output_shape", Ints{5, 6}}},
     {1, 1, 5, 6}},
    {"same",
     {1, 1, 3, 3},
     {1, 2, 3, 3},
     {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}},
     {1, 2, 6, 6}},
    {"same, stride beyond the kernel",
     {1, 1, 3, 2},
     {1, 1, 2, 1},
     {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{3, 3}}},
     {1, 1, 9, 6}},
    {"groups",
     {1, 4, 3, 3},
     {4, 1, 2, 2},
     {{"group", int64_t{2}}, {"dilations", Ints{2, 1}}},
     {1, 2, 5, 4},
     true},
    {"one axis", {2, 1, 3}, {1, 2, 3}, {}, {2, 2, 5}},
    {"three axes", {1, 1, 2, 2, 3}, {1, 2, 2, 2, 2}, {}, {1, 2, 3, 3, 4}},
};

TEST(ConvTranspose, ShapesAndGradients) {
  for (const ConvCase& c : transposed) {
    SCOPED_TRACE(c.name);
    OpRun run{"ConvTranspose", {random_tensor(c.x, 1), random_tensor(c.w, 2)}, c.attributes};
    if (c.bias) run.inputs.push_back(random_tensor({c.y[1]}, 3));
    EXPECT_EQ(run_op(run)[0].dims(), c.y);
    check_gradient(run, {.second_order = true});
  }
}

TEST(ConvTranspose, Values) {
  Tensor x = Tensor::of<float>({1, 1, 3}, {0, 1, 2}),
         w = Tensor::of<float>({1, 2, 3}, {1, 1, 1, 1, 1, 1});
  expect_close(run_op({"ConvTranspose", {x, w}})[0],
               Tensor::of<float>({1, 2, 5}, {0, 1, 3, 3, 2, 0, 1, 3, 3, 2}));
}

TEST(ConvGrad, KernelsAgreeWithTheirDecompositions) {
  for (const ConvCase& c : conv_cases) {
    if (element_count(c.y) == 0) continue;
    SCOPED_TRACE(c.name);
    auto shape = [](const Dims& d) {
      return Tensor::of<int64_t>({static_cast<int64_t>(d.size())}, d);
    };
    Tensor dy = random_tensor(c.y, 5);
    expect_decomposes(
        {"onnxrun.ConvInputGrad", {dy, random_tensor(c.w, 2), shape(c.x)}, c.attributes}, 1e-12,
        std::vector<size_t>{0});
    expect_decomposes(
        {"onnxrun.ConvWeightGrad", {random_tensor(c.x, 1), dy, shape(c.w)}, c.attributes});
  }
}

}  // namespace

}  // namespace onnxrun::testing
