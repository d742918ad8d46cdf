#include "kernels/depthwise_convolution.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/padded_plane-inl.h"
#include "kernels/scratch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// One channel of outputs.
template <typename T>
struct DepthwiseChannel {
  const PaddedPlane& p;
  const T* plane;
  const T* weights;
  T bias;
  T* out;
  const Limits<T>* limits;
};

// Lanes that `mask` leaves out are 0 or what lies there. The compiler reads what LoadU() names anew
// for every use.
template <class D, class M, typename T>
HWY_INLINE hn::Vec<D> load_once(D d, M mask, const T* x) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(mask, d, x);
#else
  (void)mask;
  return hn::LoadU(d, x);
#endif
}

// R lines of outputs from `line` on, a vector at a time. A kernel of K by K without steps between
// its lines (K > 0) reads each vector once for all of them.
template <int R, int K, typename T>
HWY_INLINE void convolve_lines(const DepthwiseChannel<T>& c, int64_t line) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const PaddedPlane& p = c.p;
  V weights[K > 0 ? K * K : 1];
  if constexpr (K > 0) {
    for (int k = 0; k < K * K; ++k) weights[k] = hn::Set(d, c.weights[k]);
  }
  const int64_t columns = p.columns.output, pitch = p.pitch, step = p.columns.dilation;
  const T* plane = c.plane + p.margin + line * p.lines.stride * pitch;
  T* out = c.out + line * columns;
  const VectorLimits limited(d, c.limits);
  for (int64_t column = 0; column < columns; column += lanes) {
    const T* x = plane + column;
    const auto mask = hn::FirstN(d, static_cast<size_t>(HWY_MIN(lanes, columns - column)));
    V sum[R];
    for (int r = 0; r < R; ++r) sum[r] = hn::Set(d, c.bias);
    if constexpr (K > 0) {
      HWY_UNROLL(8)
      for (int i = 0; i < R + K - 1; ++i) {
        for (int k = 0; k < K; ++k) {
          const V in = load_once(d, mask, x + i * pitch + k * step);
          for (int r = HWY_MAX(0, i - K + 1); r < HWY_MIN(R, i + 1); ++r) {
            sum[r] = hn::MulAdd(weights[(i - r) * K + k], in, sum[r]);
          }
        }
      }
    } else {
      const T* weight = c.weights;
      for (int64_t i = 0; i < p.lines.kernel; ++i) {
        for (int64_t k = 0; k < p.columns.kernel; ++k, ++weight) {
          const T* from = x + i * p.lines.dilation * pitch + k * step;
          const V w = hn::Set(d, *weight);
          for (int r = 0; r < R; ++r) {
            sum[r] = hn::MulAdd(w, hn::LoadU(d, from + r * p.lines.stride * pitch), sum[r]);
          }
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      T* y = out + r * columns + column;
      sum[r] = limited(sum[r]);
      if (column + lanes <= columns) {
        hn::StoreU(sum[r], d, y);
      } else {
        store_first(d, sum[r], y, static_cast<size_t>(columns - column));
      }
    }
  }
}

template <int K, typename T>
void convolve_channel(const DepthwiseChannel<T>& c) {
  constexpr int together = 4;
  int64_t line = 0;
  for (; line + together <= c.p.lines.output; line += together) {
    convolve_lines<together, K>(c, line);
  }
  for (; line < c.p.lines.output; ++line) convolve_lines<1, K>(c, line);
}

// Groups [begin, end) of all images.
template <typename T>
void convolve_groups(const ConvShape& s, const PaddedPlane& p, const T* x, const T* w,
                     const T* bias, T* y, const Limits<T>* limits, int64_t begin, int64_t end) {
  Scratch scratch(static_cast<size_t>(p.size()) * sizeof(T));
  T* plane = scratch.as<T>();
  std::fill_n(plane, p.size(), T{0});
  const int64_t taps = s.window.kernel_size(), in = s.window.input_size();
  const int64_t out = s.window.output_size();
  const bool is_square =
      p.lines.stride == 1 && p.lines.dilation == 1 && p.lines.kernel == 3 && p.columns.kernel == 3;
  for (int64_t group = begin; group < end; ++group) {
    fill_plane(p, x + group * in, plane);
    for (int64_t m = 0; m < s.out_channels; ++m) {
      const int64_t channel = group % s.groups * s.out_channels + m;
      const DepthwiseChannel<T> c{p,
                                  plane,
                                  w + channel * taps,
                                  bias ? bias[channel] : T{0},
                                  y + (group * s.out_channels + m) * out,
                                  limits};
      is_square ? convolve_channel<3>(c) : convolve_channel<0>(c);
    }
  }
}

void depthwise_float(const ConvShape& s, const PaddedPlane& p, const float* x, const float* w,
                     const float* bias, float* y, const Limits<float>* limits, int64_t begin,
                     int64_t end) {
  convolve_groups(s, p, x, w, bias, y, limits, begin, end);
}
void depthwise_double(const ConvShape& s, const PaddedPlane& p, const double* x, const double* w,
                      const double* bias, double* y, const Limits<double>* limits, int64_t begin,
                      int64_t end) {
  convolve_groups(s, p, x, w, bias, y, limits, begin, end);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(depthwise_float);
HWY_EXPORT(depthwise_double);

std::optional<PaddedPlane> depthwise_plane(const ConvShape& s) {
  constexpr int64_t shortest_line = 12;
  if (s.in_channels != 1) return std::nullopt;
  const std::optional<PaddedPlane> p = PaddedPlane::of(s.window);
  const bool fits = p && p->columns.stride == 1 && p->columns.output >= shortest_line;
  return fits ? p : std::nullopt;
}

namespace {

template <typename F>
void for_each_group(const ConvShape& s, const F& f) {
  parallel_for(s.batch * s.groups, pieces_grain(s.group_work()), f);
}

}  // namespace

void convolve_depthwise(const ConvShape& s, const PaddedPlane& p, const float* x, const float* w,
                        const float* bias, float* y, const Limits<float>* limits) {
  for_each_group(s, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(depthwise_float)(s, p, x, w, bias, y, limits, begin, end);
  });
}
void convolve_depthwise(const ConvShape& s, const PaddedPlane& p, const double* x, const double* w,
                        const double* bias, double* y, const Limits<double>* limits) {
  for_each_group(s, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(depthwise_double)(s, p, x, w, bias, y, limits, begin, end);
  });
}

}  // namespace onnxrun
#endif  // HWY_ONCE
