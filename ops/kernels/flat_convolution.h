// The sums of a convolution over channels laid out by FlatWindows, in float and double.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/limits.h"

namespace onnxrun {

template <typename T>
struct FlatConvolution {
  std::span<const int64_t> offsets;  // one a position of the kernel
  const T* planes;                   // [channels], plane_size apart
  int64_t plane_size, channels;
  const T* weights;  // [rows][channels][offsets.size()], rows weight_step apart
  int64_t weight_step, rows;
  const T* bias;  // [rows], or null
  T* out;         // [rows], out_step apart
  int64_t out_step, size;
  const Limits<T>* limits;
};

// out[r][p] = within limits, bias[r] + the sum over channels c and positions t of
// weights[r][c][t] * planes[c][offsets[t] + p], for p in [0, size). Whole vectors are read and
// written: up to FlatWindows::slack elements behind the last plane and out[r] up to a multiple of
// it, with values that mean nothing. Terms are added in order.
void flat_convolve(const FlatConvolution<float>& c);
void flat_convolve(const FlatConvolution<double>& c);

// weights[r][c][t] += the sum over images and p of out[r][p] * planes[c][offsets[t] + p], which is
// the gradient of the weights, given that of `out`. Behind `size` out[r] must be 0 up to a multiple
// of FlatWindows::slack.
template <typename T>
struct FlatWeightGradient {
  std::span<const int64_t> offsets;
  const T* planes;
  int64_t plane_size, channels;
  const T* out;
  int64_t out_step, size, rows;
  int64_t images, image_step;  // between two images' planes, and outs
  T* weights;
  int64_t weight_step;
};
void flat_weight_gradient(const FlatWeightGradient<float>& c);
void flat_weight_gradient(const FlatWeightGradient<double>& c);

}  // namespace onnxrun
