#include "kernels/flat_convolution.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/flat_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Rows and vectors whose sums are held in registers.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int most_rows = 4;
constexpr int vectors_of(int rows) { return rows == 1 ? 6 : rows == 2 ? 4 : 3; }
#else
constexpr int most_rows = 8;
constexpr int vectors_of(int rows) { return rows == 1 ? 8 : rows <= 4 ? 4 : 3; }
#endif

// R rows by V vectors of the output from flat index p on.
template <int R, int V, typename T>
HWY_INLINE void convolve_tile(const FlatConvolution<T>& f, int64_t row, int64_t p) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto taps = static_cast<int64_t>(f.offsets.size());
  hn::Vec<decltype(d)> sum[R][V];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Set(d, f.bias ? f.bias[row + r] : T(0));
  }
  const T* weights = f.weights + row * f.weight_step;
  const T* plane = f.planes + p;
  for (int64_t c = 0; c < f.channels; ++c, plane += f.plane_size) {
    for (int64_t t = 0; t < taps; ++t, ++weights) {
      const T* x = plane + f.offsets[static_cast<size_t>(t)];
      // Inputs are held and one weight at a time is broadcast: with the sums that is all the
      // registers there are.
      hn::Vec<decltype(d)> in[V];
      for (int v = 0; v < V; ++v) in[v] = hn::LoadU(d, x + v * lanes);
      for (int r = 0; r < R; ++r) {
        const auto weight = hn::Set(d, weights[r * f.weight_step]);
        for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(weight, in[v], sum[r][v]);
      }
    }
  }
  const VectorLimits limited(d, f.limits);
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) {
      hn::StoreU(limited(sum[r][v]), d, f.out + (row + r) * f.out_step + p + v * lanes);
    }
  }
}

template <int R, typename T>
void convolve_rows(const FlatConvolution<T>& f, int64_t row) {
  constexpr int vectors = vectors_of(R);
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  int64_t p = 0;
  for (; p + (vectors - 1) * lanes < f.size; p += vectors * lanes) {
    convolve_tile<R, vectors>(f, row, p);
  }
  if (p + lanes < f.size) {
    convolve_tile<R, 2>(f, row, p);
    p += 2 * lanes;
  }
  for (; p < f.size; p += lanes) convolve_tile<R, 1>(f, row, p);
}

// Calls f.operator()<R>() with R = rows, which is at most most_rows.
template <int R = 1, class F>
HWY_INLINE void with_rows(int64_t rows, const F& f) {
  if (rows == R) {
    f.template operator()<R>();
  } else if constexpr (R < most_rows) {
    with_rows<R + 1>(rows, f);
  }
}

template <typename T>
void convolve_all(const FlatConvolution<T>& f) {
  for (int64_t row = 0; row < f.rows; row += most_rows) {
    with_rows(HWY_MIN(f.rows - row, most_rows), [&]<int R>() { convolve_rows<R>(f, row); });
  }
}

// R rows by K positions of the kernel, of one channel.
template <int R, int K, typename T>
HWY_INLINE void gradient_tile(const FlatWeightGradient<T>& f, int64_t row, const T* plane,
                              int64_t tap, T* weights) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[R][K];
  const T* x[K];
  for (int k = 0; k < K; ++k) {
    x[k] = plane + f.offsets[static_cast<size_t>(tap + k)];
    for (int r = 0; r < R; ++r) sum[r][k] = hn::Zero(d);
  }
  const T* out = f.out + row * f.out_step;
  for (int64_t image = 0; image < f.images * f.image_step; image += f.image_step) {
    for (int64_t p = image; p < image + f.size; p += lanes) {
      hn::Vec<decltype(d)> dy[R];
      for (int r = 0; r < R; ++r) dy[r] = hn::LoadU(d, out + r * f.out_step + p);
      for (int k = 0; k < K; ++k) {
        const auto in = hn::LoadU(d, x[k] + p);
        for (int r = 0; r < R; ++r) sum[r][k] = hn::MulAdd(dy[r], in, sum[r][k]);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int k = 0; k < K; ++k) {
      weights[r * f.weight_step + k] += hn::GetLane(hn::SumOfLanes(d, sum[r][k]));
    }
  }
}

constexpr int most_gradient_rows = 4, gradient_taps = most_rows == 8 ? 5 : 2;

template <int R, typename T>
void gradient_rows(const FlatWeightGradient<T>& f, int64_t row) {
  const auto taps = static_cast<int64_t>(f.offsets.size());
  for (int64_t c = 0; c < f.channels; ++c) {
    const T* plane = f.planes + c * f.plane_size;
    T* weights = f.weights + row * f.weight_step + c * taps;
    int64_t t = 0;
    for (; t + gradient_taps <= taps; t += gradient_taps) {
      gradient_tile<R, gradient_taps>(f, row, plane, t, weights + t);
    }
    for (; t < taps; ++t) gradient_tile<R, 1>(f, row, plane, t, weights + t);
  }
}

template <typename T>
void gradient_all(const FlatWeightGradient<T>& f) {
  for (int64_t row = 0; row < f.rows; row += most_gradient_rows) {
    with_rows(HWY_MIN(f.rows - row, most_gradient_rows),
              [&]<int R>() { gradient_rows<R>(f, row); });
  }
}

void convolve_float(const FlatConvolution<float>& f) { convolve_all(f); }
void convolve_double(const FlatConvolution<double>& f) { convolve_all(f); }
void gradient_float(const FlatWeightGradient<float>& f) { gradient_all(f); }
void gradient_double(const FlatWeightGradient<double>& f) { gradient_all(f); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(convolve_float);
HWY_EXPORT(convolve_double);
HWY_EXPORT(gradient_float);
HWY_EXPORT(gradient_double);

void flat_convolve(const FlatConvolution<float>& c) { HWY_DYNAMIC_DISPATCH(convolve_float)(c); }
void flat_convolve(const FlatConvolution<double>& c) { HWY_DYNAMIC_DISPATCH(convolve_double)(c); }
void flat_weight_gradient(const FlatWeightGradient<float>& c) {
  HWY_DYNAMIC_DISPATCH(gradient_float)(c);
}
void flat_weight_gradient(const FlatWeightGradient<double>& c) {
  HWY_DYNAMIC_DISPATCH(gradient_double)(c);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
