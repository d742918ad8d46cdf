// Resize and Upsample. Values are the standard's node tests (tests/conformance); here are
// gradients, old forms and what is rejected.
#include <cmath>

#include "support/decomposition.h"
#include "support/lists.h"

namespace onnxrun::testing {

namespace {

Tensor sizes(std::vector<int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}
OpRun resize(Tensor x, Tensor scales, Tensor to, Attributes attributes) {
  return {"Resize", {std::move(x), {}, std::move(scales), std::move(to)}, std::move(attributes)};
}

// The adjoint as the gradient has it.
OpRun adjoint(const OpRun& run) {
  Tensor y = run_once(run)[0];
  OpRun back{"onnxrun.ResizeGrad",
             {random_tensor(y.dims(), 5), sizes(run.inputs[0].dims()), run.inputs[1], run.inputs[2],
              run.inputs[3]},
             run.attributes};
  return back;
}

TEST(Resize, GradientsInEveryMode) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* how : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                            "align_corners", "asymmetric"}) {
      SCOPED_TRACE(std::string(mode) + " " + how);
      Attributes a{{"mode", std::string(mode)},
                   {"coordinate_transformation_mode", std::string(how)}};
      OpRun up = resize(random_tensor({1, 2, 3, 4}, 1), float_list({1, 1, 1.7f, 0.6f}), {}, a);
      check_gradient(up, {.wrt = {0}, .second_order = true});
      check_gradient(resize(random_tensor({2, 3, 4}, 2), {}, sizes({2, 5, 1}), a), {.wrt = {0}});
      expect_decomposes(adjoint(up));
    }
  }
}

TEST(Resize, GradientsOfOptions) {
  Attributes linear{{"mode", std::string("linear")}}, cubic{{"mode", std::string("cubic")}};
  for (Attributes a : {linear, cubic}) {
    a["antialias"] = int64_t{1};
    check_gradient(resize(random_tensor({2, 9, 7}, 1), {}, sizes({2, 4, 3}), a), {.wrt = {0}});
    a["exclude_outside"] = int64_t{1};
    a["axes"] = std::vector<int64_t>{2, -2};
    OpRun run = resize(random_tensor({2, 9, 7}, 1), float_list({0.4f, 1.5f}), {}, a);
    check_gradient(run, {.wrt = {0}, .second_order = true});
    expect_decomposes(adjoint(run));
  }
  cubic["keep_aspect_ratio_policy"] = std::string("not_larger");
  check_gradient(resize(random_tensor({4, 6}, 1), {}, sizes({3, 9}), cubic), {.wrt = {0}});
}

TEST(Resize, GradientOfARegion) {
  Attributes a{{"mode", std::string("linear")},
               {"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
               {"extrapolation_value", 7.0f}};
  OpRun run{"Resize",
            {random_tensor({2, 5, 4}, 1),
             float_list({0, -0.3f, 0.2f, 1, 0.9f, 1.2f}),
             {},
             sizes({2, 4, 3})},
            a};
  check_gradient(run, {.wrt = {0}, .second_order = true});
  OpRun back = adjoint(run);
  back.attributes.erase("extrapolation_value");
  expect_decomposes(back, 1e-12, std::vector<size_t>{});
}

TEST(Resize, MovesWhatIsNoNumber) {
  Tensor text = Tensor::of<std::string>({2}, {"a", "b"});
  EXPECT_TRUE(identical(run_op(resize(text, float_list({2}), {}, {}))[0],
                        Tensor::of<std::string>({4}, {"a", "a", "b", "b"})));
  expect_error(resize(text, float_list({2}), {}, {{"mode", std::string("linear")}}),
               "needs numbers");
}

// ONNX 1.5: where the first form shrinks, nearest rounds up.
TEST(Resize, OpsetTen) {
  Tensor x = Tensor::of<float>({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  OpRun run{"Resize", {x, float_list({1, 1, 0.6f, 0.6f})}, {}, 1, 10};
  expect_close(run_op(run)[0], Tensor::of<float>({1, 1, 1, 2}, {1, 3}));
  run.inputs[1] = float_list({1, 1, 2, 0.5f});
  expect_close(run_op(run)[0], Tensor::of<float>({1, 1, 4, 2}, {1, 3, 1, 3, 5, 7, 5, 7}));
  run.attributes = {{"mode", std::string("linear")}};
  run.inputs[1] = float_list({1, 1, 1, 1.5f});
  expect_close(run_op(run)[0], Tensor::of<float>({1, 1, 2, 6}, {1, 1 + 2 / 3.0f, 2 + 1 / 3.0f, 3,
                                                                3 + 2 / 3.0f, 4, 5, 5 + 2 / 3.0f,
                                                                6 + 1 / 3.0f, 7, 7 + 2 / 3.0f, 8}));
}

TEST(Upsample, EveryOpset) {
  Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4});
  Tensor twice = Tensor::of<float>({1, 1, 2, 4}, {1, 1, 2, 2, 3, 3, 4, 4});
  Attributes first{{"width_scale", 2.0f}, {"height_scale", 1.0f}};
  expect_close(run_op({"Upsample", {x}, first, 1, 1})[0], twice);
  Attributes second{{"scales", std::vector<float>{1, 1, 1, 2}}};
  expect_close(run_op({"Upsample", {x}, second, 1, 7})[0], twice);
  expect_close(run_op({"Upsample", {x, float_list({1, 1, 1, 2})}, {}, 1, 9})[0], twice);
  for (const char* mode : {"nearest", "linear"}) {
    OpRun run{"Upsample",
              {random_tensor({1, 1, 2, 3}, 1), float_list({1, 1, 1.5f, 2})},
              {{"mode", std::string(mode)}}};
    expect_decomposes(run, 1e-12, std::vector<size_t>{});
    check_gradient(run, {.wrt = {0}});
  }
  expect_error({"Upsample", {x, float_list({1, 1, 1})}}, "float[3]");
  expect_error({"Upsample", {x, float_list({1, 1, 1, 0.5f})}}, "expected at least 1");
  expect_error({"Upsample", {x, float_list({1, 1, 1, 1e30f})}}, "a scale is 1");
}

TEST(Resize, Empty) {
  EXPECT_EQ(run_op(resize(random_tensor({0, 3}, 1), float_list({2, 2}), {}, {}))[0].dims(),
            (Dims{0, 6}));
  EXPECT_EQ(run_op(resize(random_tensor({2, 3}, 1), {}, sizes({2, 0}), {}))[0].dims(),
            (Dims{2, 0}));
}

TEST(Resize, Rejects) {
  Tensor x = random_tensor({2, 3}, 1), empty = random_tensor({0, 3}, 1);
  expect_error(resize(x, {}, {}, {}), "none of 'scales' and 'sizes'");
  expect_error(resize(x, float_list({1, 1}), sizes({1, 1}), {}), "both of 'scales' and 'sizes'");
  expect_error(resize(x, float_list({1, 1, 1}), {}, {}), "for 2 axes");
  expect_error(resize(x, float_list({1, -1}), {}, {}), "a scale is -1");
  expect_error(resize(x, float_list({1, NAN}), {}, {}), "a scale is nan");
  expect_error(resize(x, float_list({1, 1e30f}), {}, {}), "a scale is 1");
  expect_error(resize(x, {}, sizes({1, -4}), {}), "a size is -4");
  expect_error(resize(x, {}, sizes({int64_t{1} << 40, int64_t{1} << 40}), {}), "");
  expect_error(resize(empty, {}, sizes({1, 4}), {}), "cannot become 1 long");
  expect_error(resize(x, float_list({1}), {}, {{"axes", std::vector<int64_t>{2}}}), "axis 2");
  expect_error(resize(x, float_list({1, 1}), {}, {{"mode", std::string("area")}}),
               "mode is 'area'");
  expect_error(resize(x, float_list({1, 1}), {},
                      {{"coordinate_transformation_mode", std::string("tf_crop_and_resize")}}),
               "needs input 'roi'");
}

}  // namespace

}  // namespace onnxrun::testing
