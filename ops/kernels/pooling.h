// Loops of pools over one plane: the spatial axes of one channel of one image.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/im2col.h"
#include "kernels/kernel_list.h"
#include "kernels/max_pairs.h"
#include "kernels/max_planes.h"
#include "kernels/scratch.h"

namespace onnxrun {

// Calls f(begin, end) for planes that cover all, in parallel where `work` (elements read a plane)
// makes it worth while.
template <typename F>
void for_each_range(int64_t planes, int64_t work, const F& f) {
  int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, work));
  if (planes <= grain) return f(0, planes);
  parallel_for(planes, grain, f);
}

// Calls f(plane) for all planes, as for_each_range().
template <typename F>
void for_each_plane(int64_t planes, int64_t work, const F& f) {
  for_each_range(planes, work, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) f(p);
  });
}

// Where the elements of all windows lie in a plane. They lie alike in every plane, so the walk over
// them is kept unless it is long.
class PlaneWalk {
 public:
  PlaneWalk() = default;
  explicit PlaneWalk(Window w);

  const Window& window() const { return window_; }

  // Calls f(Stretch) for every stretch that has elements of the plane.
  template <typename F>
  void for_each(const F& f) const {
    if (!is_kept_) return for_each_stretch(window_, 1, 0, window_.output_size(), f);
    for (const Stretch& s : kept_) f(s);
  }

 private:
  Window window_;
  bool is_kept_ = false;
  std::vector<Stretch> kept_;
};

// Calls f(step) with the steps that pools mostly have as constants, for which loops are vectorised.
template <typename F>
void with_step(int64_t step, const F& f) {
  if (step == 1) return f(std::integral_constant<int64_t, 1>());
  if (step == 2) return f(std::integral_constant<int64_t, 2>());
  f(step);
}

// A NaN wins and stays; the earlier of equals stays.
template <typename T>
bool exceeds(T x, T best) {
  if constexpr (std::is_floating_point_v<T>) return (x > best) | (x != x);
  return x > best;
}

// The largest element of each window; windows of nothing but padding get the lowest value.
template <typename T>
void max_plane(const PlaneWalk& walk, const T* x, T* y) {
  using Limits = std::numeric_limits<T>;
  std::fill_n(y, walk.window().output_size(),
              Limits::has_infinity ? -Limits::infinity() : Limits::lowest());
  with_step(walk.window().strides.back(), [&](auto step) {
    walk.for_each([&](const Stretch& s) {
      T* best = y + s.column + s.before;
      for (int64_t i = 0; i < s.inside; ++i) {
        T v = x[s.input + i * step];
        best[i] = exceeds(v, best[i]) ? v : best[i];
      }
    });
  });
}

// A position in a plane, as wide as T where that holds it: loops over both are vectorised then.
template <typename T>
using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The same loop as max_plane(), which remembers places: -1 where nothing exceeds the lowest value.
template <typename T>
void walk_places(const PlaneWalk& walk, const T* x, Place<T>* at) {
  using Limits = std::numeric_limits<T>;
  constexpr T lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  const int64_t size = walk.window().output_size();
  Scratch scratch(static_cast<size_t>(size) * sizeof(T));
  T* largest = scratch.as<T>();
  std::fill_n(largest, size, lowest);
  std::fill_n(at, size, Place<T>{-1});
  with_step(walk.window().strides.back(), [&](auto step) {
    walk.for_each([&](const Stretch& s) {
      T* best = largest + s.column + s.before;
      Place<T>* place = at + s.column + s.before;
      const T* in = x + s.input;
      const auto first = static_cast<Place<T>>(s.input);
      const auto stride = static_cast<Place<T>>(step);
      for (int64_t i = 0; i < s.inside; ++i) {
        const T v = in[i * step];
        const bool wins = exceeds(v, best[i]);
        best[i] = wins ? v : best[i];
        place[i] = wins ? first + static_cast<Place<T>>(i) * stride : place[i];
      }
    });
  });
}

// How a pool goes over its planes.
struct PoolPlan {
  PlaneWalk walk;
  std::optional<PaddedPlane> padded;  // for pools that can go line by line
  int64_t planes = 0;
  std::vector<double> counts;  // elements of each window, where the pool needs them

  const Window& window() const { return walk.window(); }
  int64_t work() const { return window().kernel_size() * window().output_size(); }
};

inline bool is_of_pairs(const PoolPlan& p) { return p.padded && has_pairs(*p.padded); }

// The largest element of each window of `planes` planes: x, y, planes.
template <typename T>
using MaxKernel = Kernel<PoolPlan, const T*, T*, int64_t>;
template <typename T>
constexpr MaxKernel<T> walk_max = {
    "walk", always<PoolPlan>, [](const PoolPlan& p, const T* x, T* y, int64_t planes) {
      const int64_t in = p.window().input_size(), out = p.window().output_size();
      for (int64_t i = 0; i < planes; ++i) max_plane<T>(p.walk, x + i * in, y + i * out);
    }};
template <typename T>
constexpr MaxKernel<T> max_kernels[] = {walk_max<T>};
template <typename T>
constexpr MaxKernel<T> max_by_lines = {"lines",
                                       [](const PoolPlan& p) { return p.padded.has_value(); },
                                       [](const PoolPlan& p, const T* x, T* y, int64_t planes) {
                                         max_planes(*p.padded, x, y, planes);
                                       }};
template <>
inline constexpr MaxKernel<int8_t> max_kernels<int8_t>[] = {max_by_lines<int8_t>, walk_max<int8_t>};
template <>
inline constexpr MaxKernel<uint8_t> max_kernels<uint8_t>[] = {max_by_lines<uint8_t>,
                                                              walk_max<uint8_t>};
template <std::floating_point T>
constexpr MaxKernel<T> max_kernels<T>[] = {
    {"pairs", is_of_pairs,
     [](const PoolPlan& p, const T* x, T* y, int64_t planes) {
       max_pairs(*p.padded, x, y, planes);
     }},
    max_by_lines<T>,
    walk_max<T>};

// Where in a plane the first of the largest elements of each window is; -1 where none exceeds the
// lowest value: x, at.
template <typename T>
using PlaceKernel = Kernel<PoolPlan, const T*, Place<T>*>;
template <typename T>
constexpr PlaceKernel<T> walk_to_places = {
    "walk", always<PoolPlan>,
    [](const PoolPlan& p, const T* x, Place<T>* at) { walk_places(p.walk, x, at); }};
template <typename T>
constexpr PlaceKernel<T> place_kernels[] = {walk_to_places<T>};
template <std::floating_point T>
constexpr PlaceKernel<T> place_kernels<T>[] = {
    {"lines", [](const PoolPlan& p) { return p.padded.has_value(); },
     [](const PoolPlan& p, const T* x, Place<T>* at) { max_places(*p.padded, x, at, 1); }},
    walk_to_places<T>};

// Where in the plane each window's largest element lies, the first of equals; -1 if it holds none.
// Throws Limit for a plane with more positions than Place<T> counts.
template <typename T>
void argmax_plane(const PoolPlan& p, const T* x, Place<T>* at) {
  const PlaneWalk& walk = p.walk;
  if (walk.window().input_size() > std::numeric_limits<Place<T>>::max()) {
    fail(ErrorKind::Limit, "a plane of {} elements, at most {} are supported",
         walk.window().input_size(), std::numeric_limits<Place<T>>::max());
  }
  chosen(place_kernels<T>, p).run(p, x, at);
  const int64_t size = walk.window().output_size();
  if (std::find(at, at + size, -1) == at + size) return;
  // Windows of nothing but the lowest value (or padding).
  const int64_t step = walk.window().strides.back();
  walk.for_each([&](const Stretch& s) {
    int64_t first = s.column + s.before;
    for (int64_t i = 0; i < s.inside; ++i) {
      if (at[first + i] < 0) at[first + i] = static_cast<Place<T>>(s.input + i * step);
    }
  });
}

// y[o] = the sum of f(element) over each window.
template <typename T, typename F>
void sum_plane(const PlaneWalk& walk, const T* x, T* y, const F& f) {
  std::fill_n(y, walk.window().output_size(), T{0});
  with_step(walk.window().strides.back(), [&](auto step) {
    walk.for_each([&](const Stretch& s) {
      T* sum = y + s.column + s.before;
      for (int64_t i = 0; i < s.inside; ++i) sum[i] += f(x[s.input + i * step]);
    });
  });
}

// How many elements each window has, those in the padding (but not behind it) counted or not.
std::vector<double> window_counts(const Window& w, bool include_pad);

}  // namespace onnxrun
