// Convolutions of shapes that nets have, each way there is to compute them. Arguments: images,
// groups, channels and outputs of a group, length of the square image, of the kernel, stride,
// padding.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"

namespace onnxrun {
namespace {

using Shape = std::array<int64_t, 8>;
constexpr Shape all_shapes[] = {
    {16, 1, 1, 4, 28, 5, 1, 0},    {16, 1, 4, 8, 12, 5, 1, 0},   {8, 1, 6, 16, 14, 5, 1, 0},
    {4, 1, 3, 8, 24, 3, 2, 1},     {4, 16, 1, 1, 12, 3, 1, 1},   {8, 1, 16, 16, 6, 3, 1, 1},
    {8, 1, 64, 64, 8, 3, 1, 1},    {32, 1, 32, 64, 14, 3, 1, 1}, {1, 32, 1, 1, 56, 3, 1, 1},
    {1, 1, 128, 128, 16, 3, 1, 1},
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
    x.assign(static_cast<size_t>(shape.x_at(shape.batch, 0)), 0.5f);
    y.assign(static_cast<size_t>(shape.y_at(shape.batch, 0)), 0.25f);
    weights.assign(static_cast<size_t>(shape.w_at(shape.groups)), 0.125f);
  }

  ConvShape shape;
  std::optional<FlatWindows> flat;
  std::vector<float> x, y, weights;
};

template <typename F>
void measure(benchmark::State& state, const F& f) {
  Arrays a(state);
  for (auto _ : state) {
    f(a);
    benchmark::ClobberMemory();
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * a.shape.work(), benchmark::Counter::kIsIterationInvariantRate);
}

void matrix_forward(benchmark::State& state) {
  measure(state, [](Arrays& a) {
    MatrixConvolution<float>(a.shape).forward(a.x.data(), a.weights.data(), nullptr, a.y.data());
  });
}
void flat_forward(benchmark::State& state) {
  measure(state, [](Arrays& a) {
    FlatConvolver<float>(a.shape, *a.flat)
        .forward(a.x.data(), a.weights.data(), nullptr, a.y.data());
  });
}
void matrix_weight_grad(benchmark::State& state) {
  measure(state, [](Arrays& a) {
    MatrixConvolution<float>(a.shape).weight_grad(a.x.data(), a.y.data(), a.weights.data());
  });
}
void flat_weight_grad(benchmark::State& state) {
  measure(state, [](Arrays& a) {
    FlatConvolver<float>(a.shape, *a.flat).weight_grad(a.x.data(), a.y.data(), a.weights.data());
  });
}
BENCHMARK(matrix_forward)->Apply(shapes);
BENCHMARK(flat_forward)->Apply(shapes);
BENCHMARK(matrix_weight_grad)->Apply(shapes);
BENCHMARK(flat_weight_grad)->Apply(shapes);

}  // namespace
}  // namespace onnxrun
