// Convolutions of all ranks and their two gradients, in float and double.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernels/conv_lines.h"
#include "kernels/conv_shape.h"
#include "kernels/depthwise_convolution.h"
#include "kernels/flat_windows.h"
#include "kernels/kernel_list.h"
#include "kernels/limits.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Larger weights are not kept packed beside what the model has.
inline constexpr int64_t most_kept_weights = 1 << 18;

// A convolution and how it is best computed: with many output channels by vectors of these, small
// images by FlatWindows, others as products with matrices of windows.
struct ConvPlan {
  ConvShape shape;
  std::optional<FlatWindows> flat;
  // Of those, for groups of one channel.
  std::optional<PaddedPlane> depthwise, depthwise_transposed;
  // Sums over few windows of many channels are better products, whatever becomes of the rest.
  bool is_weight_grad_flat = false;
  // dx is the convolution of dy with the weights' channels exchanged and their positions reversed,
  // if the windows' strides are 1.
  ConvShape transposed;
  std::optional<FlatWindows> flat_transposed;
  // Where vectors of channels are the best way of each.
  std::optional<ConvLines> lines, lines_of_input, lines_of_weights;
  // The weights as the forward kernel reads them, unless they are packed for every run.
  Tensor packed;

  ConvPlan() = default;
  explicit ConvPlan(ConvShape s);

  // True if weights of this size that are the same in every run are worth keeping packed.
  bool keeps_weights(const Tensor& w) const;
  // They as `packed` has them, which depends on their shape and the number of groups.
  Tensor packed_weights(const Tensor& w) const;

  // Names of the kernels that the three functions below run.
  std::string_view forward_kernel() const;
  std::string_view input_grad_kernel() const;
  std::string_view weight_grad_kernel() const;

 private:
  void choose_transposed();
  void choose_lines();
};

// y = x * w + bias within limits; `bias` may be null. Uses the threads of the caller's ThreadScope;
// results do not depend on their number. So do the others.
void convolve(const ConvPlan& p, const float* x, const float* w, const float* bias, float* y,
              const Limits<float>* limits = nullptr);
void convolve(const ConvPlan& p, const double* x, const double* w, const double* bias, double* y,
              const Limits<double>* limits = nullptr);

// The gradient of x, which is also the transposed convolution of dy: `bias`
// (one an element of x's channels) is added unless null.
void convolve_input_grad(const ConvPlan& p, const float* dy, const float* w, const float* bias,
                         float* dx);
void convolve_input_grad(const ConvPlan& p, const double* dy, const double* w, const double* bias,
                         double* dx);

// The gradient of w.
void convolve_weight_grad(const ConvPlan& p, const float* x, const float* dy, float* dw);
void convolve_weight_grad(const ConvPlan& p, const double* x, const double* dy, double* dw);

// What the functions above choose from, with their arguments.
template <typename T>
using ConvForwardKernel = Kernel<ConvPlan, const T*, const T*, const T*, T*, const Limits<T>*>;
template <typename T>
using ConvInputGradKernel = Kernel<ConvPlan, const T*, const T*, const T*, T*>;
template <typename T>
using ConvWeightGradKernel = Kernel<ConvPlan, const T*, const T*, T*>;
template <typename T>
struct ConvKernels {
  std::span<const ConvForwardKernel<T>> forward;
  std::span<const ConvInputGradKernel<T>> input_grad;
  std::span<const ConvWeightGradKernel<T>> weight_grad;
};
template <typename T>
ConvKernels<T> conv_kernels();
template <>
ConvKernels<float> conv_kernels<float>();
template <>
ConvKernels<double> conv_kernels<double>();

}  // namespace onnxrun
