// Convolutions whose result has its channels as the last axis: [batch, spatial..., channels].
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "kernels/channels_last_depthwise.h"
#include "kernels/convolution.h"
#include "kernels/data_movement.h"

namespace onnxrun {

// How one is best computed. Whichever way is taken, the bits are those of convolve() for `conv`.
struct ChannelsLastConv {
  enum class Way : uint8_t {
    Pixels,     // the kernel has one position: products of pixels
    Depthwise,  // a vector of channels stands for one pixel
    Lines,      // as vectors of channels do it (0004)
    Planes,     // by convolve(), between transpositions
  };

  ConvPlan conv;
  // The image that is read has its channels as its second axis.
  bool of_planes = false;
  Way way = Way::Planes;
  std::optional<DepthwiseLast> depthwise;
  std::optional<ConvLines> lines;
  // Their runs in elements of the image that is read.
  std::vector<ConvLines::Run> runs;
  // What stands around convolve().
  StridedCopy to_planes, from_planes;
  // Weights as the way reads them, unless they are packed for every run.
  Tensor packed;

  ChannelsLastConv() = default;
  // Doubles go by planes.
  ChannelsLastConv(ConvShape s, bool is_of_planes, DType dtype = DType::Float32);

  // Floats that are the same in every run.
  void keep_weights(const Tensor& w);
  std::string_view name() const;

  // Sums begin at 0 and are added to the bias at their end, where products do it.
  bool is_apart() const { return conv.forward_kernel() == "matrix"; }

 private:
  Way choose();
  void scale_runs();
};

// y = x * w + bias within limits; `bias` and `limits` may be null. Uses the threads of the caller's
// ThreadScope; results do not depend on their number.
void convolve(const ChannelsLastConv& p, const float* x, const float* w, const float* bias,
              float* y, const Limits<float>* limits);
void convolve(const ChannelsLastConv& p, const double* x, const double* w, const double* bias,
              double* y, const Limits<double>* limits);

}  // namespace onnxrun
