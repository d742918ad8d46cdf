// BlackmanWindow, HammingWindow, HannWindow, MelWeightMatrix.
#include <cmath>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

TEST(Windows, SymmetricOnes) {
  Tensor five = Tensor::scalar<int64_t>(5);
  expect_close(run_op({"HannWindow", {five}, {{"periodic", int64_t{0}}}})[0],
               Tensor::of<float>({5}, {0, 0.5f, 1, 0.5f, 0}));
  expect_close(run_op({"BlackmanWindow", {five}, {{"periodic", int64_t{0}}}})[0],
               Tensor::of<float>({5}, {0, 0.34f, 1, 0.34f, 0}));
  for (const char* op : {"HannWindow", "HammingWindow", "BlackmanWindow"}) {
    EXPECT_EQ(run_op({op, {Tensor::scalar<int64_t>(0)}})[0].dims(), (Dims{0}));
    EXPECT_EQ(values_of(run_op({op, {Tensor::scalar<int64_t>(1)}, {{"periodic", int64_t{0}}}})[0]),
              (std::vector<double>{1}));
    expect_error({op, {Tensor::scalar<int64_t>(-1)}}, "size is -1");
    expect_error({op, {Tensor::of<int64_t>({2}, {1, 2})}}, "expected one number");
    expect_error({op, {five}, {{"output_datatype", int64_t{8}}}}, "'output_datatype' is string");
    expect_error({op, {Tensor::scalar<int64_t>(INT64_MAX)}}, "");
  }
}

OpRun mel(int64_t bins, int64_t length, int64_t rate, float low, float high) {
  return {"MelWeightMatrix",
          {Tensor::scalar(bins), Tensor::scalar(length), Tensor::scalar(rate), Tensor::scalar(low),
           Tensor::scalar(high)}};
}

TEST(MelWeightMatrix, Rejects) {
  EXPECT_EQ(run_op(mel(8, 16, 8192, 0, 4096))[0].dims(), (Dims{9, 8}));
  EXPECT_EQ(run_op(mel(0, 16, 8192, 0, 4096))[0].dims(), (Dims{9, 0}));
  expect_error(mel(-1, 16, 8192, 0, 4096), "num_mel_bins is -1");
  expect_error(mel(8, -16, 8192, 0, 4096), "dft_length is -16");
  expect_error(mel(8, 16, 0, 0, 4096), "sample_rate is 0");
  expect_error(mel(8, 16, 8192, 0, 1e6f), "above half the sample rate");
  expect_error(mel(8, 16, 8192, 10, 5), "the edges are 10 and 5");
  expect_error(mel(8, 16, 8192, NAN, 5), "the edges are nan");
  expect_error(mel(8, INT64_MAX, 8192, 0, 5), "");
}

}  // namespace

}  // namespace onnxrun::testing
