// Loops of pools over one plane: the spatial axes of one channel of one image.
#pragma once

#include <cmath>
#include <limits>

#include "base/threads.h"
#include "kernels/im2col.h"
#include "kernels/scratch.h"

namespace onnxrun {

// Calls f(plane) for all planes, in parallel where `work` (elements read a plane) makes it worth
// while.
template <typename F>
void for_each_plane(int64_t planes, int64_t work, const F& f) {
  int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, work));
  auto some = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) f(p);
  };
  if (planes <= grain) return some(0, planes);
  parallel_for(planes, grain, some);
}

// a NaN wins and stays; the earlier of equals stays.
template <typename T>
bool exceeds(T x, T best) {
  if constexpr (std::is_floating_point_v<T>) return x > best || x != x;
  return x > best;
}

// The largest element of each window; windows of nothing but padding get the lowest value.
template <typename T>
void max_plane(const Window& w, const T* x, T* y) {
  using Limits = std::numeric_limits<T>;
  std::fill_n(y, w.output_size(), Limits::has_infinity ? -Limits::infinity() : Limits::lowest());
  int64_t step = w.strides.back();
  for_each_stretch(w, 1, 0, w.output_size(), [&](const Stretch& s) {
    T* best = y + s.column + s.before;
    for (int64_t i = 0; i < s.inside; ++i) {
      T v = x[s.input + i * step];
      best[i] = exceeds(v, best[i]) ? v : best[i];
    }
  });
}

// Where in the plane each window's largest element lies, the first of equals; -1 if it holds none.
template <typename T>
void argmax_plane(const Window& w, const T* x, int64_t* at) {
  using Limits = std::numeric_limits<T>;
  constexpr T lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  int64_t size = w.output_size(), step = w.strides.back();
  Scratch scratch(static_cast<size_t>(size) * sizeof(T));
  T* largest = scratch.as<T>();
  std::fill_n(largest, size, lowest);
  std::fill_n(at, size, int64_t{-1});
  for_each_stretch(w, 1, 0, size, [&](const Stretch& s) {
    int64_t first = s.column + s.before;
    for (int64_t i = 0; i < s.inside; ++i) {
      T v = x[s.input + i * step];
      bool wins = exceeds(v, largest[first + i]);
      largest[first + i] = wins ? v : largest[first + i];
      at[first + i] = wins ? s.input + i * step : at[first + i];
    }
  });
  if (std::find(at, at + size, -1) == at + size) return;
  // Windows of nothing but the lowest value (or padding).
  for_each_stretch(w, 1, 0, size, [&](const Stretch& s) {
    int64_t first = s.column + s.before;
    for (int64_t i = 0; i < s.inside; ++i) {
      if (at[first + i] < 0) at[first + i] = s.input + i * step;
    }
  });
}

// y[o] = the sum of f(element) over each window.
template <typename T, typename F>
void sum_plane(const Window& w, const T* x, T* y, const F& f) {
  std::fill_n(y, w.output_size(), T{0});
  int64_t step = w.strides.back();
  for_each_stretch(w, 1, 0, w.output_size(), [&](const Stretch& s) {
    T* sum = y + s.column + s.before;
    for (int64_t i = 0; i < s.inside; ++i) sum[i] += f(x[s.input + i * step]);
  });
}

// How many elements each window has, those in the padding (but not behind it) counted or not.
std::vector<double> window_counts(const Window& w, bool include_pad);

}  // namespace onnxrun
