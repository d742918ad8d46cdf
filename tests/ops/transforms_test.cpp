// DFT, STFT, Det.
#include <cmath>
#include <complex>
#include <numbers>

#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

Tensor number(int64_t v) { return Tensor::scalar<int64_t>(v); }

// The definition, of the rows of a [1, n, 2] tensor.
Tensor slow_transform(const Tensor& x, bool inverse) {
  int64_t n = x.dim(1);
  Tensor y(DType::Float64, x.dims());
  for (int64_t k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      double angle = 2 * std::numbers::pi * static_cast<double>(k * i % n) / static_cast<double>(n);
      sum += std::complex<double>(x.data<double>()[2 * i], x.data<double>()[2 * i + 1]) *
             std::polar(1.0, inverse ? angle : -angle);
    }
    if (inverse) sum /= static_cast<double>(n);
    y.data<double>()[2 * k] = sum.real();
    y.data<double>()[2 * k + 1] = sum.imag();
  }
  return y;
}

TEST(DFT, EveryLengthAgreesWithTheDefinition) {
  for (int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 31, 60, 64, 97}) {
    Tensor x = random_tensor({1, n, 2}, static_cast<uint32_t>(n));
    for (int64_t inverse : {0, 1}) {
      expect_close(run_op({"DFT", {x}, {{"inverse", inverse}}})[0], slow_transform(x, inverse != 0),
                   1e-12, 1e-12, std::to_string(n));
    }
  }
}

TEST(DFT, LargePrimes) {
  Tensor x = random_tensor({1, 10007, 2}, 1);
  Tensor there = run_once({"DFT", {x}})[0];
  expect_close(run_once({"DFT", {there}, {{"inverse", int64_t{1}}}})[0], x, 1e-11, 1e-11);
}

TEST(DFT, Gradients) {
  for (int64_t n : {0, 3, 4, 7}) {  // its own length, cut, padded
    for (int64_t axis : {-2, 1, 0}) {
      for (int64_t parts : {1, 2}) {
        OpRun run{"DFT", {random_tensor({4, 5, 3, parts}, 1), number(n), number(axis)}};
        if (n == 0) run.inputs[1] = Tensor();
        check_gradient(run, {.second_order = n == 3});
        run.attributes["inverse"] = int64_t{1};
        check_gradient(run);
        run.attributes["onesided"] = int64_t{1};
        run.attributes["inverse"] = int64_t{parts == 2};
        check_gradient(run, {.second_order = n == 4});
      }
    }
  }
}

TEST(DFT, OldAxis) {
  Tensor x = random_tensor({2, 3, 4, 1}, 1);
  expect_close(run_op({"DFT", {x}, {}, 1, 17})[0], run_op({"DFT", {x, Tensor(), number(1)}})[0]);
  expect_close(run_op({"DFT", {x}, {{"axis", int64_t{2}}}, 1, 17})[0], run_op({"DFT", {x}})[0]);
}

TEST(DFT, Rejects) {
  Tensor x = random_tensor({2, 4, 1}, 1);
  expect_error({"DFT", {random_tensor({4}, 1)}}, "expected [..., signal, 1 or 2]");
  expect_error({"DFT", {random_tensor({2, 4, 3}, 1)}}, "expected 1 or 2 parts");
  expect_error({"DFT", {x, number(0)}}, "length is 0");
  expect_error({"DFT", {x, number(-4)}}, "length is -4");
  expect_error({"DFT", {x, number(INT64_MAX)}}, "length is 9223372036854775807");
  expect_error({"DFT", {x, Tensor(), number(2)}}, "axis 2 is that of complex parts");
  expect_error({"DFT", {x, Tensor(), number(-1)}}, "axis -1 is that of complex parts");
  expect_error({"DFT", {x, Tensor(), number(3)}}, "axis 3");
  expect_error({"DFT", {random_tensor({2, 0, 1}, 1)}}, "length is 0");
  expect_error({"DFT", {random_tensor({2, 4, 2}, 1)}, {{"onesided", int64_t{1}}}}, "expected real");
  Attributes back{{"onesided", int64_t{1}}, {"inverse", int64_t{1}}};
  expect_error({"DFT", {x}, back}, "expected complex");
  expect_error({"DFT", {random_tensor({1, 1, 2}, 1)}, back}, "length is 0");
  EXPECT_EQ(run_op({"DFT", {random_tensor({0, 4, 1}, 1)}})[0].dims(), (Dims{0, 4, 2}));
}

TEST(STFT, Gradients) {
  Tensor window = random_tensor({4}, 2);
  OpRun run{"STFT", {random_tensor({2, 11, 1}, 1), number(3), window, number(4)}};
  check_gradient(run, {.second_order = true});
  expect_decomposes(run, 1e-12, std::vector<size_t>{});
  EXPECT_EQ(run_op(run)[0].dims(), (Dims{2, 3, 3, 2}));
  run.inputs[2] = Tensor();
  check_gradient(run);
  OpRun both{"STFT", {random_tensor({1, 9, 2}, 1), number(2), window}, {{"onesided", int64_t{0}}}};
  check_gradient(both);
  both.inputs.resize(2);
  EXPECT_EQ(run_op(both)[0].dims(), (Dims{1, 1, 9, 2}));

  Tensor flat = random_tensor({2, 11}, 1);
  OpRun real{"STFT", {flat, number(3), window, number(4)}};
  check_gradient(real, {.second_order = true});
  expect_decomposes(real, 1e-12, std::vector<size_t>{});
  Tensor values = run_op(real)[0];
  real.inputs[0] = flat.view({2, 11, 1});
  expect_close(values, run_op(real)[0]);
}

TEST(STFT, Rejects) {
  Tensor x = random_tensor({1, 8, 1}, 1), window = random_tensor({4}, 2);
  expect_error({"STFT", {x, number(0), window}}, "frame_step is 0");
  expect_error({"STFT", {x, number(-1), window}}, "frame_step is -1");
  expect_error({"STFT", {x, number(2), window, number(5)}}, "frame_length is 5, but");
  expect_error({"STFT", {x, number(2), Tensor(), number(9)}}, "is shorter than a frame of 9");
  expect_error({"STFT", {x, number(2), Tensor(), number(0)}}, "a frame's length is 0");
  expect_error({"STFT", {x, number(2), random_tensor({2, 2}, 1)}}, "expected a list");
  expect_error({"STFT", {random_tensor({8}, 1), number(2), window}}, "expected [batch, signal");
  expect_error({"STFT", {random_tensor({1, 8, 2}, 1), number(2), window}}, "where it is onesided");
}

TEST(Det, ValuesAndGradients) {
  expect_close(run_op({"Det", {Tensor::of<double>({2, 2}, {0, 2, 3, 4})}})[0],
               Tensor::scalar<double>(-6));
  EXPECT_EQ(run_op({"Det", {Tensor(DType::Float64, {2, 0, 0})}})[0].data<double>()[1], 1);
  EXPECT_EQ(run_op({"Det", {Tensor(DType::Float64, {0, 2, 2})}})[0].dims(), (Dims{0}));
  EXPECT_TRUE(std::isnan(
      run_op({"Det", {Tensor::of<double>({2, 2}, {1, NAN, 0, 1})}})[0].data<double>()[0]));
  for (int64_t n : {1, 2, 3, 5}) {
    Tensor x = random_tensor({2, n, n}, static_cast<uint32_t>(n));
    check_gradient({"Det", {x}}, {.second_order = true});
    expect_decomposes({"onnxrun.Cofactor", {x}}, 1e-11, std::vector<size_t>{});
  }
}

// Where the inverse, which most write the gradient with, does not exist.
TEST(Det, GradientsOfSingularMatrices) {
  Tensor x = random_tensor({1, 3, 3}, 1);
  std::copy_n(x.data<double>(), 3, x.data<double>() + 6);
  check_gradient({"Det", {x}});
  Tensor rank_one = Tensor::of<double>({3, 3}, {1, 2, 3, 2, 4, 6, -1, -2, -3});
  check_gradient({"Det", {rank_one}});
  expect_decomposes({"onnxrun.Cofactor", {rank_one}}, 1e-12, std::vector<size_t>{});
  for (double v : values_of(gradients_of({"Det", {rank_one}})[0])) EXPECT_EQ(v, 0);
}

TEST(Det, Rejects) {
  expect_error({"Det", {random_tensor({3}, 1)}}, "expected square matrices");
  expect_error({"Det", {random_tensor({2, 3}, 1)}}, "expected square matrices");
  expect_error({"Det", {random_tensor({2, 2, 0}, 1)}}, "expected square matrices");
}

}  // namespace

}  // namespace onnxrun::testing
