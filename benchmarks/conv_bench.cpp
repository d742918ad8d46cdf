// Convolutions of shapes that nets have, each way there is to compute them. Arguments: images,
// groups, channels and outputs of a group, length of the square image, of the kernel, stride,
// padding.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "kernels/channel_convolver.h"
#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"

namespace onnxrun {
namespace {

using Shape = std::array<int64_t, 8>;
constexpr Shape all_shapes[] = {
    {16, 1, 1, 4, 28, 5, 1, 0},    {16, 1, 4, 8, 12, 5, 1, 0},   {8, 1, 6, 16, 14, 5, 1, 0},
    {4, 1, 3, 8, 24, 3, 2, 1},     {4, 16, 1, 1, 12, 3, 1, 1},   {8, 1, 16, 16, 6, 3, 1, 1},
    {8, 1, 64, 64, 8, 3, 1, 1},    {32, 1, 32, 64, 14, 3, 1, 1}, {1, 32, 1, 1, 56, 3, 1, 1},
    {32, 1, 16, 16, 32, 3, 1, 1},  {32, 1, 16, 32, 32, 3, 2, 1}, {32, 1, 32, 64, 16, 1, 2, 0},
    {64, 1, 1, 32, 28, 3, 1, 0},   {64, 1, 32, 64, 13, 3, 1, 0}, {1, 1, 24, 24, 40, 3, 1, 1},
    {1, 1, 128, 128, 16, 3, 1, 1}, {1, 1, 64, 64, 56, 3, 1, 1},  {1, 1, 3, 64, 224, 7, 2, 3},
    {1, 1, 256, 256, 14, 1, 1, 0}, {1, 1, 512, 512, 7, 3, 1, 1}, {8, 1, 64, 64, 112, 3, 2, 1},
};

void shapes(benchmark::internal::Benchmark* b) {
  for (const Shape& s : all_shapes) b->Args({s.begin(), s.end()});
}

// One convolution's arrays, and all ways.
struct Arrays {
  explicit Arrays(const benchmark::State& state) {
    int64_t length = state.range(4), kernel = state.range(5), stride = state.range(6);
    int64_t pad = state.range(7), out = (length + 2 * pad - kernel) / stride + 1;
    Dims strides = {stride, stride}, pads = {pad, pad};
    Window w{{length, length}, {out, out}, {kernel, kernel}, strides, {1, 1}, pads, pads};
    shape = {w, state.range(0), state.range(1), state.range(2), state.range(3)};
    flat = FlatWindows::of(shape.window, shape.in_channels);
    lines = ConvLines::of_output(shape.window, shape.in_channels);
    lines_of_input = ConvLines::of_input(shape.window, shape.out_channels);
    x.assign(static_cast<size_t>(shape.x_at(shape.batch, 0)), 0.5f);
    y.assign(static_cast<size_t>(shape.y_at(shape.batch, 0)), 0.25f);
    weights.assign(static_cast<size_t>(shape.w_at(shape.groups)), 0.125f);
  }

  ConvShape shape;
  std::optional<FlatWindows> flat;
  std::optional<ConvLines> lines, lines_of_input;
  std::vector<float> x, y, weights;
};

// `way` has to be there.
template <typename Way, typename F>
void measure(benchmark::State& state, Way Arrays::*way, const F& f) {
  Arrays a(state);
  if constexpr (!std::is_same_v<Way, ConvShape>) {
    if (!(a.*way)) return state.SkipWithError("not for this shape");
  }
  for (auto _ : state) {
    f(a);
    benchmark::ClobberMemory();
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * a.shape.work(), benchmark::Counter::kIsIterationInvariantRate);
}

void matrix_forward(benchmark::State& state) {
  measure(state, &Arrays::shape, [](Arrays& a) {
    MatrixConvolution<float>(a.shape).forward(a.x.data(), a.weights.data(), nullptr, a.y.data());
  });
}
void flat_forward(benchmark::State& state) {
  measure(state, &Arrays::flat, [](Arrays& a) {
    FlatConvolver<float>(a.shape, *a.flat)
        .forward(a.x.data(), a.weights.data(), nullptr, a.y.data());
  });
}
void matrix_weight_grad(benchmark::State& state) {
  measure(state, &Arrays::shape, [](Arrays& a) {
    MatrixConvolution<float>(a.shape).weight_grad(a.x.data(), a.y.data(), a.weights.data());
  });
}
void flat_weight_grad(benchmark::State& state) {
  measure(state, &Arrays::flat, [](Arrays& a) {
    FlatConvolver<float>(a.shape, *a.flat).weight_grad(a.x.data(), a.y.data(), a.weights.data());
  });
}
void channels_forward(benchmark::State& state) {
  measure(state, &Arrays::lines, [](Arrays& a) {
    const ChannelConvolver<float> convolver(a.shape, *a.lines, false);
    Scratch packed(static_cast<size_t>(convolver.packed_size()) * sizeof(float));
    convolver.pack_weights(a.weights.data(), packed.as<float>());
    convolver.convolve(a.x.data(), packed.as<float>(), nullptr, a.y.data());
  });
}
void channels_weight_grad(benchmark::State& state) {
  measure(state, &Arrays::lines, [](Arrays& a) {
    ChannelConvolver<float>(a.shape, *a.lines, false)
        .weight_grad(a.x.data(), a.y.data(), a.weights.data());
  });
}
void channels_input_grad(benchmark::State& state) {
  measure(state, &Arrays::lines_of_input, [](Arrays& a) {
    const ChannelConvolver<float> convolver(a.shape, *a.lines_of_input, true);
    Scratch packed(static_cast<size_t>(convolver.packed_size()) * sizeof(float));
    convolver.pack_weights(a.weights.data(), packed.as<float>());
    convolver.convolve(a.y.data(), packed.as<float>(), nullptr, a.x.data());
  });
}
void matrix_input_grad(benchmark::State& state) {
  measure(state, &Arrays::shape, [](Arrays& a) {
    MatrixConvolution<float>(a.shape).input_grad(a.y.data(), a.weights.data(), nullptr, a.x.data());
  });
}
BENCHMARK(matrix_forward)->Apply(shapes);
BENCHMARK(flat_forward)->Apply(shapes);
BENCHMARK(matrix_weight_grad)->Apply(shapes);
BENCHMARK(flat_weight_grad)->Apply(shapes);
BENCHMARK(channels_forward)->Apply(shapes);
BENCHMARK(channels_weight_grad)->Apply(shapes);
BENCHMARK(matrix_input_grad)->Apply(shapes);
BENCHMARK(channels_input_grad)->Apply(shapes);

}  // namespace
}  // namespace onnxrun
