#include "kernels/channel_convolution.h"

#include <tuple>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/channel_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/row_vectors-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Pixels whose sums are held in registers, of one or two vectors each.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int most_pixels(int vectors) { return vectors == 1 ? 8 : 6; }
// Rows of three taps whose gradients are.
constexpr int most_rows(int) { return 0; }
#else
constexpr int most_pixels(int) { return 14; }
constexpr int most_rows(int vectors) { return vectors == 1 ? 9 : 4; }
#endif

// Of lines of 8 to ConvLines::longest_left_out pixels, the shortest of in_pieces().
constexpr int shortest_piece(int vectors) { return most_pixels(vectors) < 14 ? 4 : 8; }

template <typename T>
HWY_INLINE int64_t lanes_of() {
  return static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
}

// Calls f.operator()<P>() with P = count, which is at most `most`.
template <int most, int P = 1, class F>
HWY_INLINE void with_count(int64_t count, const F& f) {
  if constexpr (P < most) {
    if (count != P) return with_count<most, P + 1>(count, f);
  }
  f.template operator()<P>();
}

// Cuts [0, count) into pieces of nearly the same length, at most `most`: f.operator()<P>(begin).
template <int most, class F>
HWY_INLINE void in_pieces(int64_t count, const F& f) {
  int64_t pieces = (count + most - 1) / most;
  for (int64_t begin = 0; pieces > 0; --pieces) {
    const int64_t size = (count - begin + pieces - 1) / pieces;
    with_count<most>(size, [&]<int P>() HWY_ATTR { f.template operator()<P>(begin); });
    begin += size;
  }
}

// Whether taps lie in rows of three that meet neighbouring elements.
bool meet_in_threes(std::span<const LineTap> taps, int64_t step) {
  if (step != 1 || taps.size() % 3 != 0) return false;
  for (size_t i = 0; i < taps.size(); ++i) {
    if (taps[i].input != taps[i - i % 3].input + static_cast<int64_t>(i % 3)) return false;
  }
  return true;
}

// What pixels [begin, end) meet, times the weights.
template <int begin, int end, int V, int P, class D>
HWY_INLINE void add_tap(D d, const hn::TFromD<D>* x, int64_t step, const hn::Vec<D> (&weight)[V],
                        hn::Vec<D> (&sum)[P][V]) {
  HWY_UNROLL(16)
  for (int p = begin; p < end; ++p) {
    const auto in = hn::Set(d, x[p * step]);
    for (int v = 0; v < V; ++v) sum[p][v] = hn::MulAdd(in, weight[v], sum[p][v]);
  }
}

// A tap that leaves pixels out, as LineTap says which.
template <int V, int P, class D>
HWY_INLINE void add_part(D d, uint8_t left_out, const hn::TFromD<D>* x, int64_t step,
                         const hn::Vec<D> (&weight)[V], hn::Vec<D> (&sum)[P][V]) {
  static_assert(ConvLines::most_left_out == 2 && P >= 4);
  const int left = left_out / 3, right = left_out % 3;
  if (left == 0) add_tap<0, 1>(d, x, step, weight, sum);
  if (left < 2) add_tap<1, 2>(d, x, step, weight, sum);
  add_tap<2, P - 2>(d, x, step, weight, sum);
  if (right < 2) add_tap<P - 2, P - 1>(d, x, step, weight, sum);
  if (right == 0) add_tap<P - 1, P>(d, x, step, weight, sum);
}

// Three taps that meet neighbouring elements: each is read once.
template <int V, int P, class D>
HWY_INLINE void add_three(D d, const hn::TFromD<D>* x, const hn::Vec<D> (&weight)[3][V],
                          hn::Vec<D> (&sum)[P][V]) {
  HWY_UNROLL(16)
  for (int e = 0; e < P + 2; ++e) {
    const auto in = hn::Set(d, x[e]);
    HWY_UNROLL(3)
    for (int k = 0; k < 3; ++k) {
      const int p = e - k;
      if (p < 0 || p >= P) continue;
      for (int v = 0; v < V; ++v) sum[p][v] = hn::MulAdd(in, weight[k][v], sum[p][v]);
    }
  }
}

template <int V, class D>
HWY_INLINE void load_weights(D d, const hn::TFromD<D>* w, hn::Vec<D> (&weight)[V]) {
  for (int v = 0; v < V; ++v) weight[v] = hn::LoadU(d, w + v * static_cast<int64_t>(hn::Lanes(d)));
}

// Whether taps may leave pixels out, or meet neighbouring elements three by three.
enum class Taps : uint8_t { Whole, InPart, Threes };

// All taps of a channel, whose pixel 0 lies at `plane`.
template <Taps taps, int V, int P, typename T>
HWY_INLINE void add_channel(const ChannelLine<T>& f, size_t part, const T* plane, const T* weights,
                            hn::Vec<hn::ScalableTag<T>> (&sum)[P][V]) {
  const hn::ScalableTag<T> d;
  const int64_t width = V * lanes_of<T>();
  if constexpr (taps == Taps::Threes) {
    for (size_t t = 0; t < f.taps.size(); t += 3) {
      hn::Vec<decltype(d)> weight[3][V];
      for (size_t k = 0; k < 3; ++k) {
        load_weights(d, weights + f.taps[t + k].position * width, weight[k]);
      }
      add_three(d, plane + f.taps[t].input, weight, sum);
    }
    return;
  }
  for (const LineTap& tap : f.taps) {
    hn::Vec<decltype(d)> weight[V];
    load_weights(d, weights + tap.position * width, weight);
    if constexpr (taps == Taps::InPart) {
      add_part(d, tap.left_out[part], plane + tap.input, f.step, weight, sum);
    } else {
      add_tap<0, P>(d, plane + tap.input, f.step, weight, sum);
    }
  }
}

// Pixels from `pixel` on.
template <Taps taps, int V, int P, typename T>
HWY_INLINE void convolve_pixels(const ChannelLine<T>& f, int64_t pixel) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const int64_t lanes = lanes_of<T>();
  Vector sum[P][V];
  HWY_UNROLL(16)
  for (int p = 0; p < P; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < V; ++v) {
      sum[p][v] = f.is_apart ? hn::Zero(d) : hn::LoadU(d, f.bias + v * lanes);
    }
  }
  const int64_t step = f.step, width = V * lanes;
  const size_t part = (pixel == 0 ? 1 : 0) + (pixel + P == f.pixels ? 2 : 0);
  const T* plane = f.planes + pixel * step;
  const T* weights = f.weights;
  for (int64_t c = 0; c < f.channels; ++c) {
    add_channel<taps>(f, part, plane, weights, sum);
    plane += f.plane_size;
    weights += f.positions * width;
  }
  const VectorLimits limited(d, f.limits);
  const auto last = static_cast<size_t>(f.stored - (V - 1) * lanes);
  const bool is_whole = f.stored == width;
  T* out = f.out + pixel * f.out_step;
  HWY_UNROLL(16)
  for (int p = 0; p < P; ++p, out += f.out_step) {
    HWY_UNROLL(2)
    for (int v = 0; v < V; ++v) {
      T* y = out + v * lanes;
      const bool is_part = v == V - 1 && !is_whole;
      Vector result = sum[p][v];
      if (f.is_apart) {
        const Vector old = f.bias    ? hn::LoadU(d, f.bias + v * lanes)
                           : is_part ? load_first(d, y, last)
                                     : hn::LoadU(d, y);
        result = hn::Add(result, old);
      }
      result = limited(result);
      is_part ? store_first(d, result, y, last) : hn::StoreU(result, d, y);
    }
  }
}

template <int V, typename T>
void convolve_vectors(const ChannelLine<T>& f) {
  const bool threes = V == 1 && !f.leaves_out && meet_in_threes(f.taps, f.step);
  in_pieces<most_pixels(V)>(f.pixels, [&]<int P>(int64_t pixel) HWY_ATTR {
    if constexpr (P >= shortest_piece(V)) {
      if (f.leaves_out) return convolve_pixels<Taps::InPart, V, P>(f, pixel);
    }
    // Two vectors of each element are enough to multiply while the next is read.
    if constexpr (V == 1 && P >= 4) {
      if (threes) return convolve_pixels<Taps::Threes, V, P>(f, pixel);
    }
    convolve_pixels<Taps::Whole, V, P>(f, pixel);
  });
}

template <typename T>
void convolve(const ChannelLine<T>& f) {
  if (f.width == lanes_of<T>()) return convolve_vectors<1>(f);
  convolve_vectors<2>(f);
}

// What tap n of all channels' taps meets at pixel 0, and its weight.
template <typename T>
HWY_INLINE std::pair<const T*, T*> places_of(const ChannelGradient<T>& g, int64_t n) {
  const auto taps = static_cast<int64_t>(g.taps.size());
  const int64_t channel = n / taps;
  const LineTap& tap = g.taps[static_cast<size_t>(n % taps)];
  return {g.planes + channel * g.plane_size + tap.input,
          g.weights + (channel * g.positions + tap.position) * g.width};
}

// Weights first, first + 1, ... of all channels' taps.
template <int V, int K, typename T>
HWY_INLINE void add_gradient(const ChannelGradient<T>& g, int64_t first) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const int64_t lanes = lanes_of<T>(), width = V * lanes, step = g.step;
  Vector sum[K][V];
  const T* x[K];
  T* to[K];
  for (int k = 0; k < K; ++k) {
    std::tie(x[k], to[k]) = places_of(g, first + k);
    for (int v = 0; v < V; ++v) sum[k][v] = hn::Zero(d);
  }
  const T* out = g.out;
  for (int64_t line = 0; line < g.lines; ++line) {
    const int64_t end = line * g.line_step + g.pixels * step;
    for (int64_t at = line * g.line_step; at < end; at += step, out += width) {
      Vector dy[V];
      for (int v = 0; v < V; ++v) dy[v] = hn::LoadU(d, out + v * lanes);
      for (int k = 0; k < K; ++k) {
        const Vector in = hn::Set(d, x[k][at]);
        for (int v = 0; v < V; ++v) sum[k][v] = hn::MulAdd(in, dy[v], sum[k][v]);
      }
    }
  }
  for (int k = 0; k < K; ++k) {
    for (int v = 0; v < V; ++v) {
      hn::StoreU(hn::Add(hn::LoadU(d, to[k] + v * lanes), sum[k][v]), d, to[k] + v * lanes);
    }
  }
}

// Whether that is so of their weights too.
template <typename T>
bool is_in_threes(const ChannelGradient<T>& g) {
  if (g.pixels < 2 || !meet_in_threes(g.taps, g.step)) return false;
  for (size_t i = 0; i < g.taps.size(); ++i) {
    if (g.taps[i].position != g.taps[i - i % 3].position + static_cast<int64_t>(i % 3)) {
      return false;
    }
  }
  return true;
}

// Taps [begin, end) of every row, of which tap k meets element `at` with the cotangent dy[k].
template <int begin, int end, int V, int R, class D>
HWY_INLINE void add_element(D d, const hn::TFromD<D>* const (&x)[R], int64_t at,
                            const hn::Vec<D> (&dy)[3][V], hn::Vec<D> (&sum)[R][3][V]) {
  HWY_UNROLL(9)
  for (int r = 0; r < R; ++r) {
    const auto in = hn::Set(d, x[r][at]);
    HWY_UNROLL(3)
    for (int k = begin; k < end; ++k) {
      for (int v = 0; v < V; ++v) sum[r][k][v] = hn::MulAdd(in, dy[k][v], sum[r][k][v]);
    }
  }
}

// A line of pixels from element `at` on, and their cotangents.
template <int V, int R, class D>
HWY_INLINE void add_line(D d, const hn::TFromD<D>* const (&x)[R], int64_t at, int64_t pixels,
                         const hn::TFromD<D>* out, hn::Vec<D> (&sum)[R][3][V]) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> dy[3][V];
  const auto load = [&]() HWY_ATTR __attribute__((always_inline)) {
    for (int v = 0; v < V; ++v, out += lanes) dy[0][v] = hn::LoadU(d, out);
  };
  const auto pass_on = [&]<int k>() HWY_ATTR __attribute__((always_inline)) {
    for (int v = 0; v < V; ++v) dy[k][v] = dy[k - 1][v];
  };
  load();
  add_element<0, 1>(d, x, at, dy, sum);
  pass_on.template operator()<1>();
  load();
  add_element<0, 2>(d, x, at + 1, dy, sum);
  for (int64_t p = 2; p < pixels; ++p) {
    pass_on.template operator()<2>();
    pass_on.template operator()<1>();
    load();
    add_element<0, 3>(d, x, at + p, dy, sum);
  }
  pass_on.template operator()<2>();
  pass_on.template operator()<1>();
  add_element<1, 3>(d, x, at + pixels, dy, sum);
  pass_on.template operator()<2>();
  add_element<2, 3>(d, x, at + pixels + 1, dy, sum);
}

// Rows first, first + 1, ... of all channels' taps: an element is read once for the three.
template <int V, int R, typename T>
HWY_INLINE void add_gradient_rows(const ChannelGradient<T>& g, int64_t first) {
  const hn::ScalableTag<T> d;
  hn::Vec<decltype(d)> sum[R][3][V];
  const T* x[R];
  T* to[R];
  for (int r = 0; r < R; ++r) {
    std::tie(x[r], to[r]) = places_of(g, 3 * (first + r));
    for (int k = 0; k < 3; ++k) {
      for (int v = 0; v < V; ++v) sum[r][k][v] = hn::Zero(d);
    }
  }
  for (int64_t line = 0; line < g.lines; ++line) {
    add_line(d, x, line * g.line_step, g.pixels, g.out + line * g.pixels * g.width, sum);
  }
  for (int r = 0; r < R; ++r) {
    for (int k = 0; k < 3; ++k) {
      for (int v = 0; v < V; ++v, to[r] += lanes_of<T>()) {
        hn::StoreU(hn::Add(hn::LoadU(d, to[r]), sum[r][k][v]), d, to[r]);
      }
    }
  }
}

template <int V, typename T>
void add_gradient_vectors(const ChannelGradient<T>& g) {
  if constexpr (most_rows(V) > 0) {
    if (is_in_threes(g)) {
      return in_pieces<most_rows(V)>(g.channels * static_cast<int64_t>(g.taps.size() / 3),
                                     [&]<int R>(int64_t first)
                                         HWY_ATTR { add_gradient_rows<V, R>(g, first); });
    }
  }
  in_pieces<most_pixels(V)>(g.channels * static_cast<int64_t>(g.taps.size()),
                            [&]<int K>(int64_t first) HWY_ATTR { add_gradient<V, K>(g, first); });
}

template <typename T>
void gradient(const ChannelGradient<T>& g) {
  if (g.width == lanes_of<T>()) return add_gradient_vectors<1>(g);
  add_gradient_vectors<2>(g);
}

template <typename T>
void gather(const ChannelRows<const T>& from, T* to) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of<T>();
  for (int64_t at = 0; at < from.count; at += lanes) {
    T* column = to + at;
    for_each_column<1>(from.rows + at * from.row_step, from.row_step,
                       HWY_MIN(lanes, from.count - at), from.columns,
                       [&](int64_t p, int, hn::Vec<decltype(d)> x)
                           HWY_ATTR { hn::StoreU(x, d, column + p * from.width); });
  }
}

template <typename T>
void scatter(const T* from, const ChannelRows<T>& to) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of<T>();
  for (int64_t at = 0; at < to.columns; at += lanes) {
    const int64_t count = HWY_MIN(lanes, to.columns - at);
    T* row = to.rows + at;
    for_each_column<1>(from + at * to.width, to.width, count, to.count,
                       [&](int64_t r, int, hn::Vec<decltype(d)> x) HWY_ATTR {
                         if (count == lanes) return hn::StoreU(x, d, row + r * to.row_step);
                         store_first(d, x, row + r * to.row_step, static_cast<size_t>(count));
                       });
  }
}

template <typename T>
void pad(const ConvLines& lines, const T* x, T* plane) {
  const int64_t length = lines.source_length(), pitch = lines.pitch();
  with_vectors(hn::ScalableTag<T>(), length, [&](auto d) HWY_ATTR {
    T* to = plane + lines.left();
    for (int64_t line = 0; line < lines.source_lines(); ++line, x += length, to += pitch) {
      for_each_whole_vector(
          d, length, [&](int64_t i) HWY_ATTR { hn::StoreU(hn::LoadU(d, x + i), d, to + i); });
    }
  });
}

int64_t lanes_float() { return lanes_of<float>(); }
int64_t lanes_double() { return lanes_of<double>(); }
void gather_float(const ChannelRows<const float>& from, float* lanes) { gather(from, lanes); }
void gather_double(const ChannelRows<const double>& from, double* lanes) { gather(from, lanes); }
void scatter_float(const float* lanes, const ChannelRows<float>& to) { scatter(lanes, to); }
void scatter_double(const double* lanes, const ChannelRows<double>& to) { scatter(lanes, to); }
void pad_float(const ConvLines& l, const float* channel, float* plane) { pad(l, channel, plane); }
void pad_double(const ConvLines& l, const double* channel, double* plane) {
  pad(l, channel, plane);
}
void convolve_float(const ChannelLine<float>& line) { convolve(line); }
void convolve_double(const ChannelLine<double>& line) { convolve(line); }
void gradient_float(const ChannelGradient<float>& g) { gradient(g); }
void gradient_double(const ChannelGradient<double>& g) { gradient(g); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(lanes_float);
HWY_EXPORT(lanes_double);
HWY_EXPORT(gather_float);
HWY_EXPORT(gather_double);
HWY_EXPORT(scatter_float);
HWY_EXPORT(scatter_double);
HWY_EXPORT(pad_float);
HWY_EXPORT(pad_double);
HWY_EXPORT(convolve_float);
HWY_EXPORT(convolve_double);
HWY_EXPORT(gradient_float);
HWY_EXPORT(gradient_double);

template <>
int64_t channel_lanes<float>() {
  return HWY_DYNAMIC_DISPATCH(lanes_float)();
}
template <>
int64_t channel_lanes<double>() {
  return HWY_DYNAMIC_DISPATCH(lanes_double)();
}
void gather_channels(const ChannelRows<const float>& from, float* lanes) {
  HWY_DYNAMIC_DISPATCH(gather_float)(from, lanes);
}
void gather_channels(const ChannelRows<const double>& from, double* lanes) {
  HWY_DYNAMIC_DISPATCH(gather_double)(from, lanes);
}
void scatter_channels(const float* lanes, const ChannelRows<float>& to) {
  HWY_DYNAMIC_DISPATCH(scatter_float)(lanes, to);
}
void scatter_channels(const double* lanes, const ChannelRows<double>& to) {
  HWY_DYNAMIC_DISPATCH(scatter_double)(lanes, to);
}
void pad_lines(const ConvLines& lines, const float* channel, float* plane) {
  HWY_DYNAMIC_DISPATCH(pad_float)(lines, channel, plane);
}
void pad_lines(const ConvLines& lines, const double* channel, double* plane) {
  HWY_DYNAMIC_DISPATCH(pad_double)(lines, channel, plane);
}
void convolve_line(const ChannelLine<float>& line) { HWY_DYNAMIC_DISPATCH(convolve_float)(line); }
void convolve_line(const ChannelLine<double>& line) { HWY_DYNAMIC_DISPATCH(convolve_double)(line); }
void add_channel_gradient(const ChannelGradient<float>& g) {
  HWY_DYNAMIC_DISPATCH(gradient_float)(g);
}
void add_channel_gradient(const ChannelGradient<double>& g) {
  HWY_DYNAMIC_DISPATCH(gradient_double)(g);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
