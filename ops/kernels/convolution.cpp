#include "kernels/convolution.h"

#include <algorithm>

#include "base/dtype.h"
#include "kernels/channel_convolver.h"
#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"

namespace onnxrun {

namespace {

// Weights that may be in memory twice.
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
class TransposedWeights {
 public:
  TransposedWeights(const ConvShape& s, const T* w)
      : memory_(static_cast<size_t>(s.w_at(s.groups)) * sizeof(T)) {
    int64_t taps = s.window.kernel_size();
    T* result = memory_.as<T>();
    for (int64_t g = 0; g < s.groups; ++g) {
      for (int64_t c = 0; c < s.in_channels; ++c) {
        for (int64_t m = 0; m < s.out_channels; ++m) {
          const T* from = w + s.w_at(g) + (m * s.in_channels + c) * taps;
          result = std::reverse_copy(from, from + taps, result);
        }
      }
    }
  }

  const T* data() const { return memory_.as<T>(); }

 private:
  Scratch memory_;
};

// Every channel's plane set to its bias, within limits.
template <typename T>
void fill_planes(int64_t images, int64_t channels, int64_t plane, const T* bias, T* y,
                 const Limits<T>* limits = nullptr) {
  for (int64_t i = 0; i < images * channels; ++i) {
    T value = bias ? bias[i % channels] : T{0};
    if (limits) value = value < limits->low ? limits->low : value;
    if (limits) value = limits->high < value ? limits->high : value;
    std::fill_n(y + i * plane, plane, value);
  }
}

// Whether vectors of `channels` channels, which sum `terms` terms each, are worth it: most lanes
// are channels, all but a few where there are flat planes, which waste none.
bool fill_vectors(int64_t channels, int64_t terms, bool has_flat) {
  constexpr int64_t longest_vector = 16, fewest_channels = 12, most_weights = 1 << 18;
  const int64_t lanes = ceil_of(channels, longest_vector) * longest_vector;
  return channels >= fewest_channels && 10 * channels >= (has_flat ? 9 : 7) * lanes &&
         terms <= most_weights / (2 * longest_vector);
}

// Sums that are long enough to make up for writing the channels apart.
bool is_long_sum(const Window& w, int64_t terms) {
  return w.kernel_size() > 1 ? terms >= 100 : w.strides.back() > 1 && terms >= 16;
}

template <typename T>
void convolve_channels(const ConvShape& s, const ConvLines& lines, bool of_input, const T* from,
                       const T* w, const T* bias, T* to, const Limits<T>* limits = nullptr) {
  const ChannelConvolver<T> convolver(s, lines, of_input, limits);
  const Scratch packed(static_cast<size_t>(convolver.packed_size()) * sizeof(T));
  convolver.pack_weights(w, packed.as<T>());
  convolver.convolve(from, packed.as<T>(), bias, to);
}

bool without_weights(const ConvPlan& p) { return !p.shape.has_weights(); }

template <typename T>
constexpr ConvForwardKernel<T> forward_kernels[] = {
    {"bias", without_weights,
     [](const ConvPlan& p, const T*, const T*, const T* bias, T* y, const Limits<T>* limits) {
       const ConvShape& s = p.shape;
       fill_planes(s.batch, s.groups * s.out_channels, s.window.output_size(), bias, y, limits);
     }},
    {"depthwise", [](const ConvPlan& p) { return p.depthwise.has_value(); },
     [](const ConvPlan& p, const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits) {
       convolve_depthwise(p.shape, *p.depthwise, x, w, bias, y, limits);
     }},
    {"channels", [](const ConvPlan& p) { return p.lines.has_value(); },
     [](const ConvPlan& p, const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits) {
       if (!p.packed.defined()) {
         return convolve_channels(p.shape, *p.lines, false, x, w, bias, y, limits);
       }
       ChannelConvolver<T>(p.shape, *p.lines, false, limits)
           .convolve(x, p.packed.data<T>(), bias, y);
     }},
    {"flat", [](const ConvPlan& p) { return p.flat.has_value(); },
     [](const ConvPlan& p, const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits) {
       FlatConvolver<T>(p.shape, *p.flat, limits).forward(x, w, bias, y);
     }},
    {"matrix", always<ConvPlan>,
     [](const ConvPlan& p, const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits) {
       MatrixConvolution<T>(p.shape).forward(x, w, bias, y, limits);
     }},
};

template <typename T>
constexpr ConvInputGradKernel<T> input_grad_kernels[] = {
    {"bias", without_weights,
     [](const ConvPlan& p, const T*, const T*, const T* bias, T* dx) {
       const ConvShape& s = p.shape;
       fill_planes(s.batch, s.groups * s.in_channels, s.window.input_size(), bias, dx);
     }},
    {"depthwise", [](const ConvPlan& p) { return p.depthwise_transposed.has_value(); },
     [](const ConvPlan& p, const T* dy, const T* w, const T* bias, T* dx) {
       TransposedWeights<T> reversed(p.shape, w);
       convolve_depthwise(p.transposed, *p.depthwise_transposed, dy, reversed.data(), bias, dx);
     }},
    {"channels", [](const ConvPlan& p) { return p.lines_of_input.has_value(); },
     [](const ConvPlan& p, const T* dy, const T* w, const T* bias, T* dx) {
       convolve_channels(p.shape, *p.lines_of_input, true, dy, w, bias, dx);
     }},
    {"flat", [](const ConvPlan& p) { return p.flat_transposed.has_value(); },
     [](const ConvPlan& p, const T* dy, const T* w, const T* bias, T* dx) {
       TransposedWeights<T> reversed(p.shape, w);
       FlatConvolver<T>(p.transposed, *p.flat_transposed).forward(dy, reversed.data(), bias, dx);
     }},
    {"matrix", always<ConvPlan>,
     [](const ConvPlan& p, const T* dy, const T* w, const T* bias, T* dx) {
       MatrixConvolution<T>(p.shape).input_grad(dy, w, bias, dx);
     }},
};

template <typename T>
constexpr ConvWeightGradKernel<T> weight_grad_kernels[] = {
    {"nothing", without_weights, [](const ConvPlan&, const T*, const T*, T*) {}},
    {"channels", [](const ConvPlan& p) { return p.lines_of_weights.has_value(); },
     [](const ConvPlan& p, const T* x, const T* dy, T* dw) {
       ChannelConvolver<T>(p.shape, *p.lines_of_weights, false).weight_grad(x, dy, dw);
     }},
    {"flat", [](const ConvPlan& p) { return p.is_weight_grad_flat; },
     [](const ConvPlan& p, const T* x, const T* dy, T* dw) {
       FlatConvolver<T>(p.shape, *p.flat).weight_grad(x, dy, dw);
     }},
    {"matrix", always<ConvPlan>,
     [](const ConvPlan& p, const T* x, const T* dy, T* dw) {
       MatrixConvolution<T>(p.shape).weight_grad(x, dy, dw);
     }},
};

}  // namespace

ConvPlan::ConvPlan(ConvShape s) : shape(std::move(s)) {
  if (!shape.has_weights()) return;
  flat = FlatWindows::of(shape.window, shape.in_channels);
  if (flat) depthwise = depthwise_plane(shape);
  is_weight_grad_flat = flat && shape.window.output_size() >= 2 * shape.in_channels;
  choose_transposed();
  choose_lines();
}

void ConvPlan::choose_transposed() {
  if (!has_unit_strides(shape.window)) return;
  transposed = transpose(shape);
  // Elements of x that few windows see would mostly be multiplied with padding.
  if (shape.window.input_size() > most_inputs_a_window * shape.window.output_size()) return;
  flat_transposed = FlatWindows::of(transposed.window, transposed.in_channels);
  if (flat_transposed) depthwise_transposed = depthwise_plane(transposed);
}

void ConvPlan::choose_lines() {
  const Window& w = shape.window;
  const int64_t in = shape.in_channels, out = shape.out_channels, positions = w.kernel_size();
  if (w.is_identity()) return;
  // Writing weights into vectors takes as long as a few pixels.
  constexpr int64_t enough_pixels = 128;
  const bool is_small = in * positions <= most_kept_weights / out;
  if (fill_vectors(out, in * positions, flat.has_value()) && is_long_sum(w, in * positions) &&
      (is_small || w.output_size() >= enough_pixels)) {
    lines = ConvLines::of_output(w, in, true);
  }
  if (fill_vectors(in, out * positions, flat_transposed.has_value()) && positions > 1 &&
      is_long_sum(w, out * positions) && (is_small || w.input_size() >= enough_pixels)) {
    lines_of_input = ConvLines::of_input(w, out);
  }
  // Sums over few windows of many channels are better products.
  if (fill_vectors(out, in * positions, false) && is_small) {
    lines_of_weights = ConvLines::of_output(w, in);
  }
}

bool ConvPlan::keeps_weights(const Tensor& w) const {
  // Beside many windows packing costs nothing, and large weights would be in memory twice.
  constexpr int64_t most_windows = 2048;
  return lines && shape.batch * shape.window.output_size() <= most_windows &&
         w.size() <= most_kept_weights &&
         (w.dtype() == DType::Float32 || w.dtype() == DType::Float64);
}

Tensor ConvPlan::packed_weights(const Tensor& w) const {
  Tensor result;
  dispatch<float, double>(w.dtype(), [&]<typename T>() {
    const ChannelConvolver<T> convolver(shape, *lines, false);
    result = Tensor(w.dtype(), {convolver.packed_size()});
    convolver.pack_weights(w.data<T>(), result.data<T>());
  });
  return result;
}

template <>
ConvKernels<float> conv_kernels<float>() {
  return {forward_kernels<float>, input_grad_kernels<float>, weight_grad_kernels<float>};
}
template <>
ConvKernels<double> conv_kernels<double>() {
  return {forward_kernels<double>, input_grad_kernels<double>, weight_grad_kernels<double>};
}

std::string_view ConvPlan::forward_kernel() const {
  return chosen(forward_kernels<float>, *this).name;
}
std::string_view ConvPlan::input_grad_kernel() const {
  return chosen(input_grad_kernels<float>, *this).name;
}
std::string_view ConvPlan::weight_grad_kernel() const {
  return chosen(weight_grad_kernels<float>, *this).name;
}

void convolve(const ConvPlan& p, const float* x, const float* w, const float* bias, float* y,
              const Limits<float>* limits) {
  chosen(forward_kernels<float>, p).run(p, x, w, bias, y, limits);
}
void convolve(const ConvPlan& p, const double* x, const double* w, const double* bias, double* y,
              const Limits<double>* limits) {
  chosen(forward_kernels<double>, p).run(p, x, w, bias, y, limits);
}
void convolve_input_grad(const ConvPlan& p, const float* dy, const float* w, const float* bias,
                         float* dx) {
  chosen(input_grad_kernels<float>, p).run(p, dy, w, bias, dx);
}
void convolve_input_grad(const ConvPlan& p, const double* dy, const double* w, const double* bias,
                         double* dx) {
  chosen(input_grad_kernels<double>, p).run(p, dy, w, bias, dx);
}
void convolve_weight_grad(const ConvPlan& p, const float* x, const float* dy, float* dw) {
  chosen(weight_grad_kernels<float>, p).run(p, x, dy, dw);
}
void convolve_weight_grad(const ConvPlan& p, const double* x, const double* dy, double* dw) {
  chosen(weight_grad_kernels<double>, p).run(p, x, dy, dw);
}

}  // namespace onnxrun
