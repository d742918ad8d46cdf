#include "kernels/channels_last_depthwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/channels_last_depthwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The positions of the kernel that windows of neighbouring pixels meet, all of them the same.
struct Met {
  int64_t channels;
  int64_t lines, line_step, weight_step;  // from one line to the next in x and in w
  int64_t columns, column_step;           // from one column to the next in x
  int64_t pixel_step;                     // from one window to the next in x
  bool is_apart;
};

template <bool partial>
HWY_INLINE hn::Vec<hn::ScalableTag<float>> load(const float* x, size_t count) {
  const hn::ScalableTag<float> d;
  return partial ? load_first(d, x, count) : hn::LoadU(d, x);
}

// One vector of channels of R neighbouring pixels. K columns (if not 0) that are as far from each
// other as the windows are read once for all of them.
template <int R, int K, bool partial>
HWY_INLINE void convolve_vector(const Met& m, const float* x, const float* w, const float* bias,
                                float* y, const Limits<float>* limits, size_t count) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V start = bias ? load<partial>(bias, count) : hn::Zero(d);
  V sum[R];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) sum[r] = m.is_apart ? hn::Zero(d) : start;
  const int64_t step = m.pixel_step;
  for (int64_t i = 0; i < m.lines; ++i, x += m.line_step, w += m.weight_step) {
    if constexpr (K > 0) {
      V weight[K];
      HWY_UNROLL(4)
      for (int k = 0; k < K; ++k) weight[k] = load<partial>(w + k * m.channels, count);
      HWY_UNROLL(16)
      for (int j = 0; j < R + K - 1; ++j) {
        const V in = load<partial>(x + j * step, count);
        HWY_UNROLL(4)
        for (int k = 0; k < K; ++k) {
          const int r = j - k;
          if (r >= 0 && r < R) sum[r] = hn::MulAdd(in, weight[k], sum[r]);
        }
      }
    } else {
      const float* from = x;
      const float* position = w;
      for (int64_t k = 0; k < m.columns; ++k, from += m.column_step, position += m.channels) {
        const V weight = load<partial>(position, count);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          sum[r] = hn::MulAdd(load<partial>(from + r * step, count), weight, sum[r]);
        }
      }
    }
  }
  const VectorLimits limited(d, limits);
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    const V result = limited(m.is_apart ? hn::Add(sum[r], start) : sum[r]);
    float* out = y + r * m.channels;
    partial ? store_first(d, result, out, count) : hn::StoreU(result, d, out);
  }
}

template <int R, int K>
void convolve_pixels(const Met& m, const float* x, const float* w, const float* bias, float* y,
                     const Limits<float>* limits) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  int64_t c = 0;
  for (; c + lanes <= m.channels; c += lanes) {
    convolve_vector<R, K, false>(m, x + c, w + c, bias ? bias + c : nullptr, y + c, limits, 0);
  }
  if (c == m.channels) return;
  convolve_vector<R, K, true>(m, x + c, w + c, bias ? bias + c : nullptr, y + c, limits,
                              static_cast<size_t>(m.channels - c));
}

// R pixels, at most `most`.
template <int K, int R = 1, int most = 8>
HWY_INLINE void convolve_some(int64_t pixels, const Met& m, const float* x, const float* w,
                              const float* bias, float* y, const Limits<float>* limits) {
  if constexpr (R < most) {
    if (pixels != R) return convolve_some<K, R + 1, most>(pixels, m, x, w, bias, y, limits);
  }
  convolve_pixels<R, K>(m, x, w, bias, y, limits);
}

// The positions [first, end) of an axis that window `at` meets.
struct Inside {
  int64_t first, end;

  Inside(const PaddedPlane::Axis& a, int64_t at) {
    const int64_t begin = at * a.stride - a.pad;
    first = begin >= 0 ? 0 : HWY_MIN(a.kernel, (a.dilation - 1 - begin) / a.dilation);
    const int64_t room = a.input - begin;
    end = room <= 0 ? 0 : HWY_MIN(a.kernel, (room + a.dilation - 1) / a.dilation);
    end = HWY_MAX(end, first);
  }
  bool is_all(const PaddedPlane::Axis& a) const { return first == 0 && end == a.kernel; }
};

// One line of one image.
void convolve_line(const DepthwiseLast& s, const float* x, const float* w, const float* bias,
                   float* y, const Limits<float>* limits, int64_t line) {
  constexpr int64_t most = 8;
  const PaddedPlane::Axis &a = s.lines, &b = s.columns;
  const Inside rows(a, line);
  const int64_t pitch = b.input * s.channels;
  Met m{.channels = s.channels,
        .lines = rows.end - rows.first,
        .line_step = a.dilation * pitch,
        .weight_step = b.kernel * s.channels,
        .columns = b.kernel,
        .column_step = b.dilation * s.channels,
        .pixel_step = b.stride * s.channels,
        .is_apart = s.is_apart};
  x += (line * a.stride - a.pad + rows.first * a.dilation) * pitch;
  w += rows.first * m.weight_step;
  // Behind the last window that no padding on its right meets.
  const int64_t room = b.input - 1 - (b.kernel - 1) * b.dilation + b.pad;
  const int64_t all_met = room < 0 ? 0 : HWY_MIN(b.output, room / b.stride + 1);
  const bool shares = b.kernel == 3 && b.stride == b.dilation;
  for (int64_t column = 0; column < b.output;) {
    const Inside met(b, column);
    int64_t end = column + 1;
    if (met.is_all(b)) end = HWY_MAX(end, all_met);
    m.columns = met.end - met.first;
    const float* position = w + met.first * s.channels;
    for (int64_t pieces = (end - column + most - 1) / most; pieces > 0; --pieces) {
      const int64_t pixels = (end - column + pieces - 1) / pieces;
      const float* from = x + (column * b.stride - b.pad + met.first * b.dilation) * s.channels;
      float* to = y + column * s.channels;
      if (shares && m.columns == 3) {
        convolve_some<3>(pixels, m, from, position, bias, to, limits);
      } else {
        convolve_some<0>(pixels, m, from, position, bias, to, limits);
      }
      column += pixels;
    }
  }
}

// Lines [begin, end) of all images.
void convolve_lines(const DepthwiseLast& s, const float* x, const float* w, const float* bias,
                    float* y, const Limits<float>* limits, int64_t begin, int64_t end) {
  const int64_t in = s.lines.input * s.columns.input * s.channels;
  for (int64_t at = begin; at < end; ++at) {
    convolve_line(s, x + at / s.lines.output * in, w, bias, y + at * s.columns.output * s.channels,
                  limits, at % s.lines.output);
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(convolve_lines);

std::optional<DepthwiseLast> DepthwiseLast::of(const ConvShape& s) {
  const Window& w = s.window;
  if (s.in_channels != 1 || s.out_channels != 1 || w.rank() > 2) return std::nullopt;
  DepthwiseLast result{.batch = s.batch, .channels = s.groups};
  PaddedPlane::Axis* axes[] = {&result.lines, &result.columns};
  for (size_t i = 0; i < w.rank(); ++i) {
    *axes[i + 2 - w.rank()] = {.input = w.input[i],
                               .output = w.output[i],
                               .kernel = w.kernel[i],
                               .stride = w.strides[i],
                               .dilation = w.dilations[i],
                               .pad = w.pads[i]};
  }
  return result;
}

void convolve_depthwise(const DepthwiseLast& s, const float* x, const float* w, const float* bias,
                        float* y, const Limits<float>* limits) {
  const double work = static_cast<double>(s.columns.output * s.channels) *
                      static_cast<double>(s.lines.kernel * s.columns.kernel);
  parallel_for(s.batch * s.lines.output, pieces_grain(work), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(convolve_lines)(s, x, w, bias, y, limits, begin, end);
  });
}

}  // namespace onnxrun
#endif  // HWY_ONCE
