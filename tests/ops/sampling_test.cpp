// GridSample, DeformConv, RoiAlign, MaxRoiPool. Values are the standard's node tests
// (tests/conformance) and, where it has none, those of ONNX Runtime and PyTorch.
#include <cmath>

#include "support/decomposition.h"
#include "support/lists.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

TEST(GridSample, GradientsInEveryMode) {
  for (const char* mode : {"linear", "nearest", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (int64_t align : {0, 1}) {
        Attributes a{{"mode", std::string(mode)},
                     {"padding_mode", std::string(padding)},
                     {"align_corners", align}};
        // Places far outside, too.
        OpRun run{"GridSample",
                  {random_tensor({2, 2, 4, 3}, 1), random_tensor({2, 3, 2, 2}, 2, -2.7, 2.7)},
                  a};
        check_gradient(run);
        expect_decomposes(run);
      }
    }
  }
}

TEST(GridSample, GradientsOnOtherAxes) {
  check_gradient(
      {"GridSample", {random_tensor({1, 2, 2, 3, 2}, 1), random_tensor({1, 2, 1, 2, 3}, 2)}},
      {.second_order = true});
  check_gradient({"GridSample", {random_tensor({2, 1, 5}, 1), random_tensor({2, 3, 1}, 2)}},
                 {.second_order = true});
}

TEST(GridSample, OldNamesAndOddPlaces) {
  Tensor x = Tensor::of<float>({1, 1, 1, 2}, {1, 3});
  auto at = [](float v) { return Tensor::of<float>({1, 1, 1, 2}, {v, 0}); };
  Attributes old{{"mode", std::string("bilinear")}};
  expect_close(run_op({"GridSample", {x, at(0)}, old, 1, 16})[0],
               Tensor::of<float>({1, 1, 1, 1}, {2}));
  for (const char* padding : {"zeros", "border", "reflection"}) {
    Attributes a{{"padding_mode", std::string(padding)}};
    EXPECT_TRUE(std::isnan(run_op({"GridSample", {x, at(NAN)}, a})[0].data<float>()[0])) << padding;
    a["mode"] = std::string("nearest");
    run_op({"GridSample", {x, at(NAN)}, a});
    run_op({"GridSample", {x, at(INFINITY)}, a});
    run_op({"GridSample", {x, at(-1e30f)}, a});
  }
  expect_close(run_op({"GridSample", {x, at(INFINITY)}})[0], Tensor::of<float>({1, 1, 1, 1}, {0}));
  Attributes border{{"padding_mode", std::string("border")}};
  expect_close(run_op({"GridSample", {x, at(INFINITY)}, border})[0],
               Tensor::of<float>({1, 1, 1, 1}, {3}));
  // A neighbour outside counts nothing, whatever is inside.
  Tensor infinite = Tensor::of<float>({1, 1, 1, 1}, {INFINITY});
  expect_close(run_op({"GridSample", {infinite, at(5)}})[0], Tensor::of<float>({1, 1, 1, 1}, {0}));
  // A single pixel between mirrors that coincide.
  Attributes mirrored{{"padding_mode", std::string("reflection")}, {"align_corners", int64_t{1}}};
  Tensor one = Tensor::of<float>({1, 1, 1, 1}, {7});
  expect_close(run_op({"GridSample", {one, at(3)}, mirrored})[0],
               Tensor::of<float>({1, 1, 1, 1}, {7}));
  // A cubic reaches over the border: ONNX Runtime's and PyTorch's value.
  Attributes reaching{{"mode", std::string("cubic")}, {"padding_mode", std::string("border")}};
  expect_close(run_op({"GridSample", {x, at(-1.3f)}, reaching})[0],
               Tensor::of<float>({1, 1, 1, 1}, {0.9520009f}));
  // Cubic pieces overshoot; integers stay in their range.
  Tensor bytes = Tensor::of<uint8_t>({1, 1, 1, 4}, {0, 0, 255, 255});
  EXPECT_EQ(run_op({"GridSample", {bytes, at(0.5f)}, reaching})[0].data<uint8_t>()[0], 255);
  EXPECT_EQ(run_op({"GridSample", {bytes, at(-0.5f)}, reaching})[0].data<uint8_t>()[0], 0);
}

TEST(GridSample, Rejects) {
  Tensor x = random_tensor({1, 1, 2, 2}, 1), grid = random_tensor({1, 2, 2, 2}, 2);
  expect_error({"GridSample", {x, random_tensor({1, 2, 2, 3}, 1)}}, "does not go with");
  expect_error({"GridSample", {x, random_tensor({2, 2, 2, 2}, 1)}}, "does not go with");
  expect_error({"GridSample", {x, random_tensor({1, 2, 2}, 1)}}, "does not go with");
  expect_error({"GridSample", {random_tensor({1, 2}, 1), grid}}, "expected [N, C, D1...]");
  expect_error({"GridSample", {Tensor(DType::Float32, {1, 1, 0, 2}), grid}}, "has no pixels");
  expect_error({"GridSample", {x, grid}, {{"mode", std::string("bilinear")}}},
               "mode is 'bilinear'");
  expect_error({"GridSample", {x, grid}, {{"padding_mode", std::string("wrap")}}}, "is 'wrap'");
  expect_error({"GridSample", {Tensor(DType::String, {1, 1, 2, 2}), grid}}, "needs real numbers");
  EXPECT_EQ(run_op({"GridSample", {x, Tensor(DType::Float64, {1, 0, 2, 2})}})[0].dims(),
            (Dims{1, 1, 0, 2}));
}

TEST(DeformConv, Gradients) {
  Attributes a{{"strides", Ints{2, 1}},
               {"pads", Ints{1, 0, 1, 1}},
               {"dilations", Ints{1, 2}},
               {"group", int64_t{2}},
               {"offset_group", int64_t{2}}};
  // [5 + 2 - 2] / 2 + 1 = 3 rows, [4 + 1 - 3] + 1 = 3 columns.
  OpRun run{
      "DeformConv",
      {random_tensor({2, 4, 5, 4}, 1), random_tensor({2, 2, 2, 2}, 2),
       random_tensor({2, 16, 3, 3}, 3), random_tensor({2}, 4), random_tensor({2, 8, 3, 3}, 5)},
      a};
  check_gradient(run);
  expect_decomposes(run, 1e-12, std::vector<size_t>{});
  run.attributes["kernel_shape"] = Ints{2, 2};  // tells what symbolic lengths do not
  expect_decomposes(run, 1e-12, std::vector<size_t>{0, 1, 2});
  run.inputs.resize(3);
  check_gradient(run);
  check_gradient(
      {"DeformConv",
       {random_tensor({1, 1, 4}, 1), random_tensor({1, 1, 2}, 2), random_tensor({1, 2, 3}, 3)}},
      {.second_order = true});
}

TEST(DeformConv, WithoutOffsetsIsAConvolution) {
  Tensor x = random_tensor({2, 4, 5, 5}, 1), w = random_tensor({6, 2, 3, 3}, 2);
  Attributes a{{"group", int64_t{2}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}};
  Tensor offset(DType::Float64, {2, 18, 3, 3});
  std::fill_n(offset.data<double>(), offset.size(), 0.0);
  expect_close(run_op({"DeformConv", {x, w, offset}, a})[0], run_op({"Conv", {x, w}, a})[0]);
}

TEST(DeformConv, Rejects) {
  Tensor x = random_tensor({1, 2, 3, 3}, 1), w = random_tensor({1, 2, 2, 2}, 2),
         offset = random_tensor({1, 8, 2, 2}, 3);
  auto run = [&](Tensor x0, Tensor w0, Tensor offset0, Attributes a = {}) {
    return OpRun{"DeformConv", {std::move(x0), std::move(w0), std::move(offset0)}, std::move(a)};
  };
  expect_error(run(x, w, random_tensor({1, 8, 3, 2}, 3)), "expected [1,8,2,2]");
  expect_error(run(x, w, random_tensor({1, 4, 2, 2}, 3)), "expected [1,8,2,2]");
  expect_error(run(x, random_tensor({1, 3, 2, 2}, 2), offset), "does not go with");
  expect_error(run(x, w, offset, {{"offset_group", int64_t{3}}}), "does not go with");
  expect_error(run(x, w, offset, {{"group", int64_t{0}}}), "group is 0");
  expect_error(run(x, w, offset, {{"strides", Ints{0, 1}}}), "attribute 'strides'");
  expect_error(run(x, w, offset, {{"pads", Ints{0, INT64_MAX, 0, 0}}}), "attribute 'pads'");
  expect_error(run(x, w, offset, {{"kernel_shape", Ints{3, 3}}}), "kernel_shape is [3,3]");
  expect_error(run(x, random_tensor({1, 2, 4, 4}, 2), offset), "is smaller than the kernel");
  expect_error(run(random_tensor({2, 3}, 1), w, offset), "");
}

Tensor regions() {
  return Tensor::of<double>({4, 4},
                            {0.3, 0.4, 4.6, 3.7, -2, -1.5, 2.2, 9, 1, 1, 1.5, 1.2, 20, 20, 30, 40});
}

TEST(RoiAlign, Gradients) {
  Tensor x = random_tensor({2, 2, 5, 6}, 1), images = int_list({0, 1, 1, 0});
  for (const char* coordinates : {"half_pixel", "output_half_pixel"}) {
    for (int64_t ratio : {0, 2}) {
      Attributes a{{"coordinate_transformation_mode", std::string(coordinates)},
                   {"sampling_ratio", ratio},
                   {"output_height", int64_t{3}},
                   {"output_width", int64_t{2}},
                   {"spatial_scale", 0.75f}};
      check_gradient({"RoiAlign", {x, regions(), images}, a}, {.wrt = {0}, .second_order = true});
      expect_decomposes(
          {"onnxrun.RoiAlignGrad", {random_tensor({4, 2, 3, 2}, 2), x, regions(), images}, a},
          1e-12, std::vector<size_t>{});
      a["mode"] = std::string("max");
      check_gradient({"RoiAlign", {x, regions(), images}, a}, {.wrt = {0}});
    }
  }
}

TEST(RoiAlign, OldCorners) {
  Tensor x = random_tensor({2, 2, 5, 6}, 1), images = int_list({0, 1, 1, 0});
  Attributes unmoved{{"coordinate_transformation_mode", std::string("output_half_pixel")}};
  expect_close(run_op({"RoiAlign", {x, regions(), images}, {}, 1, 10})[0],
               run_op({"RoiAlign", {x, regions(), images}, unmoved})[0]);
}

TEST(RoiAlign, Rejects) {
  Tensor x = random_tensor({2, 1, 3, 3}, 1), roi = Tensor::of<double>({1, 4}, {0, 0, 2, 2});
  auto run = [&](Tensor rois, Tensor images, Attributes a = {}) {
    return OpRun{"RoiAlign", {x, std::move(rois), std::move(images)}, std::move(a)};
  };
  expect_error(run(roi, int_list({2})), "a region's image is 2, expected 0 to 1");
  expect_error(run(roi, int_list({-1})), "a region's image is -1");
  expect_error(run(roi, int_list({0, 1})), "does not go with");
  expect_error(run(random_tensor({1, 5}, 1), int_list({0})), "expected [regions, 4]");
  expect_error(run(Tensor::of<double>({1, 4}, {0, 0, NAN, 2}), int_list({0})),
               "corner is nan pixels");
  expect_error(run(roi, int_list({0}), {{"sampling_ratio", int64_t{-1}}}), "sampling_ratio is -1");
  expect_error(run(roi, int_list({0}), {{"output_width", int64_t{0}}}), "1 x 0 bins");
  expect_error(run(roi, int_list({0}), {{"output_width", INT64_MAX}}), "bins");
  expect_error(run(roi, int_list({0}), {{"mode", std::string("min")}}), "mode is 'min'");
  expect_error({"RoiAlign", {random_tensor({1, 1, 0, 3}, 1), roi, int_list({0})}}, "has no pixels");
  expect_error(run(Tensor::of<double>({1, 4}, {0, 0, 1e300, 2}), int_list({0})),
               "corner is 1e+300 pix");
  // A large region costs no more than the image.
  for (const char* mode : {"avg", "max"}) {
    Attributes a{{"mode", std::string(mode)}};
    run_op(run(Tensor::of<double>({1, 4}, {-9e11, -9e11, 8e11, 9e11}), int_list({0}), a));
    run_op(run(Tensor::of<double>({1, 4}, {2, 2, 0, 0}), int_list({0}), a));
  }
  EXPECT_EQ(run_op(run(Tensor(DType::Float64, {0, 4}), int_list({})))[0].dims(),
            (Dims{0, 1, 1, 1}));
}

TEST(MaxRoiPool, ValuesAndGradients) {
  Tensor x = Tensor::of<double>({1, 1, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  Attributes a{{"pooled_shape", Ints{2, 2}}};
  // Torchvision's roi_pool: rows 0..2 in bins [0,2) and [1,3), columns 1..3 in [1,3) and [2,4).
  expect_close(run_op({"MaxRoiPool", {x, Tensor::of<double>({1, 5}, {0, 1, 0, 3, 2})}, a})[0],
               Tensor::of<double>({1, 1, 2, 2}, {7, 8, 11, 12}));
  // Halves go away from zero; bins outside are zero.
  expect_close(run_op({"MaxRoiPool", {x, Tensor::of<double>({1, 5}, {0, 2.5, 1, 6.5, 1.4})}, a})[0],
               Tensor::of<double>({1, 1, 2, 2}, {8, 0, 8, 0}));
  Tensor images = random_tensor({2, 2, 5, 6}, 1);
  Tensor rois =
      Tensor::of<double>({4, 5}, {0, 0, 0, 4, 4, 1, -3, 1, 9, 3, 1, 2, 2, 2, 2, 0, 40, 40, 50, 50});
  Attributes scaled{{"pooled_shape", Ints{3, 2}}, {"spatial_scale", 0.75f}};
  check_gradient({"MaxRoiPool", {images, rois}, scaled}, {.wrt = {0}, .second_order = true});
  OpRun back{"onnxrun.MaxRoiPoolGrad", {random_tensor({4, 2, 3, 2}, 2), images, rois}, scaled};
  expect_decomposes(back, 1e-12, std::vector<size_t>{});
}

TEST(MaxRoiPool, Rejects) {
  Tensor x = random_tensor({2, 1, 3, 3}, 1);
  Attributes a{{"pooled_shape", Ints{2, 2}}};
  auto roi = [](double image, double corner) {
    return Tensor::of<double>({1, 5}, {image, 0, 0, corner, 1});
  };
  expect_error({"MaxRoiPool", {x, roi(2, 1)}, a}, "a region's image is 2");
  expect_error({"MaxRoiPool", {x, roi(0.5, 1)}, a}, "a region's image is 0.5");
  expect_error({"MaxRoiPool", {x, roi(NAN, 1)}, a}, "a region's image is nan");
  expect_error({"MaxRoiPool", {x, roi(0, INFINITY)}, a}, "a region's corner is inf");
  run_op({"MaxRoiPool", {x, roi(0, 1e300)}, a});
  expect_error({"MaxRoiPool", {x, random_tensor({1, 4}, 1)}, a}, "expected [regions, 5]");
  expect_error({"MaxRoiPool", {random_tensor({1, 3, 3}, 1), roi(0, 1)}, a},
               "expected [N, C, H, W]");
  expect_error({"MaxRoiPool", {x, roi(0, 1)}}, "pooled_shape");
  expect_error({"MaxRoiPool", {x, roi(0, 1)}, {{"pooled_shape", Ints{2}}}}, "expected two numbers");
  expect_error({"MaxRoiPool", {x, roi(0, 1)}, {{"pooled_shape", Ints{2, 0}}}},
               "expected two numbers");
}

}  // namespace

}  // namespace onnxrun::testing
