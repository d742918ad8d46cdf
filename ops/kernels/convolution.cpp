#include "kernels/convolution.h"

#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"

namespace onnxrun {

namespace {

// Elements of x for each window up to which the transposed convolution is worth it.
constexpr int64_t most_inputs_a_window = 4;

bool has_unit_strides(const Window& w) {
  return std::all_of(w.strides.begin(), w.strides.end(), [](int64_t s) { return s == 1; });
}

// Window o of dy's convolution is the position o of x; from there to the first element of dy that
// it reached lies a window's extent less the padding.
ConvShape transpose(const ConvShape& s) {
  ConvShape t = s;
  std::swap(t.in_channels, t.out_channels);
  std::swap(t.window.input, t.window.output);
  for (size_t i = 0; i < s.window.rank(); ++i) {
    t.window.pads[i] = s.window.extent(i) - 1 - s.window.pads[i];
  }
  return t;
}

// Weights of the transposed convolution: of each group [in][out][reversed positions].
template <typename T>
void transpose_weights(const ConvShape& s, const T* w, T* result) {
  int64_t taps = s.window.kernel_size();
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t c = 0; c < s.in_channels; ++c) {
      for (int64_t m = 0; m < s.out_channels; ++m) {
        const T* from = w + s.w_at(g) + (m * s.in_channels + c) * taps;
        result = std::reverse_copy(from, from + taps, result);
      }
    }
  }
}

// Every channel's plane set to its bias.
template <typename T>
void fill_planes(int64_t images, int64_t channels, int64_t plane, const T* bias, T* y) {
  for (int64_t i = 0; i < images * channels; ++i) {
    std::fill_n(y + i * plane, plane, bias ? bias[i % channels] : T{0});
  }
}

template <typename T>
void run_forward(const ConvPlan& p, const T* x, const T* w, const T* bias, T* y) {
  const ConvShape& s = p.shape;
  if (!s.has_weights()) {
    return fill_planes(s.batch, s.groups * s.out_channels, s.window.output_size(), bias, y);
  }
  if (p.depthwise) return convolve_depthwise(s, *p.depthwise, x, w, bias, y);
  if (p.flat) return FlatConvolver<T>(s, *p.flat).forward(x, w, bias, y);
  MatrixConvolution<T>(s).forward(x, w, bias, y);
}

template <typename T>
void run_input_grad(const ConvPlan& p, const T* dy, const T* w, const T* bias, T* dx) {
  const ConvShape& s = p.shape;
  if (!s.has_weights()) {
    return fill_planes(s.batch, s.groups * s.in_channels, s.window.input_size(), bias, dx);
  }
  if (!p.flat_transposed) return MatrixConvolution<T>(s).input_grad(dy, w, bias, dx);
  Scratch transposed(static_cast<size_t>(s.w_at(s.groups)) * sizeof(T));
  transpose_weights(s, w, transposed.as<T>());
  if (p.depthwise_transposed) {
    return convolve_depthwise(p.transposed, *p.depthwise_transposed, dy, transposed.as<T>(), bias,
                              dx);
  }
  FlatConvolver<T>(p.transposed, *p.flat_transposed).forward(dy, transposed.as<T>(), bias, dx);
}

template <typename T>
void run_weight_grad(const ConvPlan& p, const T* x, const T* dy, T* dw) {
  if (!p.shape.has_weights()) return;
  if (p.is_weight_grad_flat) return FlatConvolver<T>(p.shape, *p.flat).weight_grad(x, dy, dw);
  MatrixConvolution<T>(p.shape).weight_grad(x, dy, dw);
}

}  // namespace

ConvPlan::ConvPlan(ConvShape s) : shape(std::move(s)) {
  if (!shape.has_weights()) return;
  flat = FlatWindows::of(shape.window, shape.in_channels);
  if (flat) depthwise = depthwise_plane(shape);
  is_weight_grad_flat = flat && shape.window.output_size() >= 2 * shape.in_channels;
  if (!has_unit_strides(shape.window)) return;
  transposed = transpose(shape);
  // Elements of x that few windows see would mostly be multiplied with padding.
  if (shape.window.input_size() > most_inputs_a_window * shape.window.output_size()) return;
  flat_transposed = FlatWindows::of(transposed.window, transposed.in_channels);
  if (flat_transposed) depthwise_transposed = depthwise_plane(transposed);
}

void convolve(const ConvPlan& p, const float* x, const float* w, const float* bias, float* y) {
  run_forward(p, x, w, bias, y);
}
void convolve(const ConvPlan& p, const double* x, const double* w, const double* bias, double* y) {
  run_forward(p, x, w, bias, y);
}
void convolve_input_grad(const ConvPlan& p, const float* dy, const float* w, const float* bias,
                         float* dx) {
  run_input_grad(p, dy, w, bias, dx);
}
void convolve_input_grad(const ConvPlan& p, const double* dy, const double* w, const double* bias,
                         double* dx) {
  run_input_grad(p, dy, w, bias, dx);
}
void convolve_weight_grad(const ConvPlan& p, const float* x, const float* dy, float* dw) {
  run_weight_grad(p, x, dy, dw);
}
void convolve_weight_grad(const ConvPlan& p, const double* x, const double* dy, double* dw) {
  run_weight_grad(p, x, dy, dw);
}

}  // namespace onnxrun
