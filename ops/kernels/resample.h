// Tensors resized along their axes, one after another.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "graph/run_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/resampling.h"

namespace onnxrun {

// Axes that change and how; those that shrink are best the first.
using AxisTaps = std::vector<std::pair<size_t, Taps>>;

// y = taps x along one axis of [outer, taps.inputs, inner].
template <typename C>
void apply_taps(const Taps& taps, const C* x, int64_t outer, int64_t inner, C outside, C* y) {
  using W = std::conditional_t<std::is_same_v<C, float> || std::is_same_v<C, std::complex<float>>,
                               float, double>;
  const std::vector<W> weights(taps.weight.begin(), taps.weight.end());
  const int64_t n = taps.outputs();
  auto row = [&](int64_t r) {
    const auto o = static_cast<size_t>(r % n);
    const C* from = x + r / n * taps.inputs * inner;
    C* to = y + r * inner;
    std::fill_n(to, inner, taps.outside[o] ? outside : C{});
    for (auto k = static_cast<size_t>(taps.begin[o]); k < static_cast<size_t>(taps.begin[o + 1]);
         ++k) {
      const C* line = from + taps.place[k] * inner;
      const W w = weights[k];
      for (int64_t i = 0; i < inner; ++i) to[i] += w * line[i];
    }
  };
  const int64_t work =
      inner * (1 + static_cast<int64_t>(taps.place.size()) / std::max<int64_t>(1, n));
  parallel_for(outer * n, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) row(r);
               });
}

// What arithmetic on T runs in.
template <typename T>
using WideType = std::conditional_t<std::is_integral_v<T>, double, ComputeType<T>>;

template <typename T, typename C>
T narrowed(C v) {
  if constexpr (std::is_same_v<T, bool>) {
    return v != 0;
  } else if constexpr (std::is_integral_v<T>) {
    constexpr double low = static_cast<double>(std::numeric_limits<T>::lowest()),
                     high = static_cast<double>(std::numeric_limits<T>::max());
    if (std::isnan(v)) return 0;
    if (v <= low) return std::numeric_limits<T>::lowest();
    return v >= high ? std::numeric_limits<T>::max() : static_cast<T>(v);
  } else {
    return static_cast<T>(v);
  }
}

// All axes one after another; `fill` is put where an axis lies outside.
template <typename T>
void resample(const RunControl& control, const AxisTaps& axes, const Tensor& x, double fill,
              Tensor& y) {
  using C = WideType<T>;
  Dims dims = x.dims();
  Tensor now = control.allocate(dtype_of<C>, dims);
  std::transform(x.data<T>(), x.data<T>() + x.size(), now.data<C>(),
                 [](const T& v) { return static_cast<C>(v); });
  for (const auto& [axis, taps] : axes) {
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (i < axis) outer *= dims[i];
      if (i > axis) inner *= dims[i];
    }
    dims[axis] = taps.outputs();
    Tensor next = control.allocate(dtype_of<C>, dims);
    apply_taps<C>(taps, now.data<C>(), outer, inner, static_cast<C>(fill), next.data<C>());
    now = std::move(next);
  }
  std::transform(now.data<C>(), now.data<C>() + y.size(), y.data<T>(),
                 [](const C& v) { return narrowed<T>(v); });
}

// Nearest places only: elements move as they are.
template <typename T>
void pick(const AxisTaps& axes, const Dims& in, const Dims& out, const T* x, const T& outside,
          T* y) {
  std::vector<int64_t> strides = dense_strides(in);
  std::vector<std::vector<int64_t>> offsets(in.size());
  for (size_t a = 0; a < in.size(); ++a) {
    for (int64_t i = 0; i < out[a]; ++i) offsets[a].push_back(i * strides[a]);
  }
  for (const auto& [axis, taps] : axes) {
    size_t k = 0;
    for (size_t o = 0; o < offsets[axis].size(); ++o) {
      offsets[axis][o] = taps.outside[o] ? -1 : taps.place[k++] * strides[axis];
    }
  }
  if (in.empty()) {
    *y = *x;
    return;
  }
  const std::vector<int64_t>& row = offsets.back();
  auto length = static_cast<int64_t>(row.size());
  int64_t rows = length == 0 ? 0 : element_count(std::span<const int64_t>(out)) / length;
  parallel_for(rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, length)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   int64_t from = 0, rest = r;
                   bool inside = true;
                   for (size_t a = offsets.size() - 1; a-- > 0;) {
                     auto n = static_cast<int64_t>(offsets[a].size());
                     int64_t offset = offsets[a][static_cast<size_t>(rest % n)];
                     inside = inside && offset >= 0;
                     from += offset;
                     rest /= n;
                   }
                   T* to = y + r * length;
                   for (int64_t i = 0; i < length; ++i) {
                     int64_t at = row[static_cast<size_t>(i)];
                     to[i] = inside && at >= 0 ? x[from + at] : outside;
                   }
                 }
               });
}

}  // namespace onnxrun
