// Gradients of maximum pools: each window's cotangent goes to its largest element.
#pragma once

#include <cstdint>

#include "kernels/pooling.h"

namespace onnxrun {

// By way of the places of the largest elements.
template <typename T>
void place_gradient(const PoolPlan& p, const MaxCotangents<T>& c) {
  const int64_t in = p.window().input_size(), out = p.window().output_size();
  Scratch scratch(static_cast<size_t>(out) * sizeof(Place<T>));
  auto* at = scratch.as<Place<T>>();
  for (int64_t plane = 0; plane < c.planes; ++plane) {
    const T *x = c.x + plane * in, *dy = c.dy + plane * out;
    T* dx = c.dx + plane * in;
    argmax_plane(p, x, at);
    std::fill_n(dx, in, T{0});
    for (int64_t i = 0; i < out; ++i) {
      if (at[i] >= 0) dx[at[i]] += dy[i];
    }
    for (int64_t i = 0; c.rectified && i < in; ++i) dx[i] = x[i] <= 0 ? T{0} : dx[i];
  }
}

template <typename T>
using MaxGradientKernel = Kernel<PoolPlan, const MaxCotangents<T>&>;
template <typename T>
constexpr MaxGradientKernel<T> max_gradient_kernels[] = {
    {"pairs", is_of_pairs,
     [](const PoolPlan& p, const MaxCotangents<T>& c) { pair_gradient(*p.padded, c); }},
    {"places", always<PoolPlan>, place_gradient<T>}};

}  // namespace onnxrun
