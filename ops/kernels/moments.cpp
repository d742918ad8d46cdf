#include "kernels/moments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/moments.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, typename T>
HWY_INLINE hn::Vec<D> load_some(D d, const T* x, int64_t count) {
  if (count == static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, x);
  return load_first(d, x, static_cast<size_t>(count));
}

// 0 in lanes that are not counted.
template <class D>
HWY_INLINE hn::Vec<D> first_of(D d, hn::Vec<D> x, int64_t count) {
  if (count == static_cast<int64_t>(hn::Lanes(d))) return x;
  return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(count)), x);
}

// As many sums at once as have something to do while one adds: vectors of all of them stay in
// registers.
template <typename T, int sums>
constexpr int64_t rows_together() {
  constexpr int64_t vectors = 16 / static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  return HWY_MAX(1, 4 / (vectors * sums));
}

// S sums over R rows from row `first` on, each as lane_sum() adds them: f(at, count, terms) are S
// vectors of the terms from offset `at` on, the first `count` of them if that is less than a
// vector's lanes and 0 behind.
template <typename T, int S, int64_t R, class F>
HWY_INLINE void add_rows(const Stretches& s, int64_t first, const F& f, double (&totals)[S]) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t together = 16, block = 1024;
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  constexpr int64_t vectors = together / lanes;
  double of_rows[R][S] = {};
  for (int64_t start = 0; start < s.length; start += block) {
    const int64_t end = HWY_MIN(s.length, start + block);
    V sums[R][vectors][S];
    for (int64_t r = 0; r < R; ++r) {
      for (int64_t v = 0; v < vectors; ++v) {
        for (int k = 0; k < S; ++k) sums[r][v][k] = hn::Zero(d);
      }
    }
    const auto add = [&](int64_t r, int64_t v, int64_t i, int64_t count) HWY_ATTR {
      V terms[S];
      f((first + r) * s.step + i, count, terms);
      for (int k = 0; k < S; ++k) sums[r][v][k] = hn::Add(sums[r][v][k], terms[k]);
    };
    int64_t i = start;
    for (; i + together <= end; i += together) {
      for (int64_t r = 0; r < R; ++r) {
        for (int64_t v = 0; v < vectors; ++v) add(r, v, i + v * lanes, lanes);
      }
    }
    for (int64_t v = 0; i < end; ++v, i += lanes) {
      for (int64_t r = 0; r < R; ++r) add(r, v, i, HWY_MIN(lanes, end - i));
    }
    for (int64_t r = 0; r < R; ++r) {
      for (int k = 0; k < S; ++k) {
        HWY_ALIGN T parts[together];
        for (int64_t v = 0; v < vectors; ++v) hn::Store(sums[r][v][k], d, parts + v * lanes);
        for (T part : parts) of_rows[r][k] += static_cast<double>(part);
      }
    }
  }
  for (int64_t r = 0; r < R; ++r) {
    for (int k = 0; k < S; ++k) totals[k] += of_rows[r][k];
  }
}

template <typename T, int S, class F>
HWY_INLINE void sum_rows(const Stretches& s, const F& f, double (&totals)[S]) {
  constexpr int64_t together = rows_together<T, S>();
  int64_t row = 0;
  for (; row + together <= s.count; row += together) add_rows<T, S, together>(s, row, f, totals);
  for (; row < s.count; ++row) add_rows<T, S, 1>(s, row, f, totals);
}

// Of one row: f(i, count) is a vector of the terms from i on.
template <typename T, class F>
HWY_INLINE double lane_vector_sum(int64_t n, const F& f) {
  using V = hn::Vec<hn::ScalableTag<T> >;
  double sum[1] = {};
  add_rows<T, 1, 1>(
      {1, 0, n}, 0,
      [&](int64_t i, int64_t count, V(&terms)[1]) HWY_ATTR { terms[0] = f(i, count); }, sum);
  return sum[0];
}

template <typename T>
double rows_sum(const T* x, const Stretches& s) {
  const hn::ScalableTag<T> d;
  double sum[1] = {};
  sum_rows<T>(
      s,
      [&](int64_t at, int64_t count, hn::Vec<decltype(d)>(&terms)[1])
          HWY_ATTR { terms[0] = load_some(d, x + at, count); },
      sum);
  return sum[0];
}

template <typename T>
double rows_squares(const T* x, const Stretches& s, T centre) {
  const hn::ScalableTag<T> d;
  const auto c = hn::Set(d, centre);
  double sum[1] = {};
  sum_rows<T>(
      s,
      [&](int64_t at, int64_t count, hn::Vec<decltype(d)>(&terms)[1]) HWY_ATTR {
        const auto distance = hn::Sub(load_some(d, x + at, count), c);
        terms[0] = first_of(d, hn::Mul(distance, distance), count);
      },
      sum);
  return sum[0];
}

template <typename T>
TwoSums rows_sums(const T* dy, const T* x, const Stretches& s) {
  const hn::ScalableTag<T> d;
  double sums[2] = {};
  sum_rows<T>(
      s,
      [&](int64_t at, int64_t count, hn::Vec<decltype(d)>(&terms)[2]) HWY_ATTR {
        terms[0] = load_some(d, dy + at, count);
        terms[1] = load_some(d, x + at, count);
      },
      sums);
  return {sums[0], sums[1]};
}

template <typename T>
TwoSums rows_centred(const T* dy, const T* x, const Stretches& s, T centre) {
  const hn::ScalableTag<T> d;
  const auto c = hn::Set(d, centre);
  double sums[2] = {};
  sum_rows<T>(
      s,
      [&](int64_t at, int64_t count, hn::Vec<decltype(d)>(&terms)[2]) HWY_ATTR {
        const auto distance = hn::Sub(load_some(d, x + at, count), c);
        terms[0] = first_of(d, hn::Mul(load_some(d, dy + at, count), distance), count);
        terms[1] = first_of(d, hn::Mul(distance, distance), count);
      },
      sums);
  return {sums[0], sums[1]};
}

// Calls f(i, count) for all vectors of [0, n), the last perhaps of fewer elements.
template <typename T, class F>
HWY_INLINE void for_each_vector(int64_t n, const F& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (int64_t i = 0; i < n; i += lanes) f(i, HWY_MIN(lanes, n - i));
}

template <class D, typename T>
HWY_INLINE void store_some(D d, hn::Vec<D> v, T* y, int64_t count) {
  if (count == static_cast<int64_t>(hn::Lanes(d))) return hn::StoreU(v, d, y);
  store_first(d, v, y, static_cast<size_t>(count));
}

template <typename T>
void normalize(const NormalizedRow<T>& r, const T* x, int64_t n, T* y) {
  const hn::ScalableTag<T> d;
  const auto mean = hn::Set(d, r.mean), factor = hn::Set(d, r.factor), bias = hn::Set(d, r.bias);
  for_each_vector<T>(n, [&](int64_t i, int64_t count) HWY_ATTR {
    const auto scaled = hn::Mul(hn::Sub(load_some(d, x + i, count), mean), factor);
    store_some(d, hn::Add(scaled, bias), y + i, count);
  });
}

template <typename T>
void normalize_gradient(const NormalizedRowGradient<T>& r, const T* dy, const T* x, int64_t n,
                        T* dx) {
  const hn::ScalableTag<T> d;
  const auto mean = hn::Set(d, r.mean), factor = hn::Set(d, r.factor);
  const auto mean_dy = hn::Set(d, r.mean_dy), slope = hn::Set(d, r.slope);
  for_each_vector<T>(n, [&](int64_t i, int64_t count) HWY_ATTR {
    const auto flows = hn::Sub(load_some(d, dy + i, count), mean_dy);
    const auto back = hn::Mul(hn::Sub(load_some(d, x + i, count), mean), slope);
    store_some(d, hn::Mul(hn::Sub(flows, back), factor), dx + i, count);
  });
}

template <typename T>
void normalize_scaled(const ScaledRow<T>& r, const T* x, int64_t n, T* y) {
  const hn::ScalableTag<T> d;
  const auto mean = hn::Set(d, r.mean), factor = hn::Set(d, r.factor);
  for_each_vector<T>(n, [&](int64_t i, int64_t count) HWY_ATTR {
    auto v = hn::Mul(hn::Sub(load_some(d, x + i, count), mean), factor);
    if (r.scale) v = hn::Mul(v, load_some(d, r.scale + i, count));
    if (r.bias) v = hn::Add(v, load_some(d, r.bias + i, count));
    store_some(d, v, y + i, count);
  });
}

template <typename T>
void normalize_scaled_gradient(const ScaledRowGradient<T>& r, const T* dy, const T* x, int64_t n,
                               T* dx) {
  const hn::ScalableTag<T> d;
  const auto mean = hn::Set(d, r.mean), factor = hn::Set(d, r.factor);
  auto h = [&](int64_t i, int64_t count)
               HWY_ATTR { return hn::Mul(hn::Sub(load_some(d, x + i, count), mean), factor); };
  auto g = [&](int64_t i, int64_t count) HWY_ATTR {
    const auto v = load_some(d, dy + i, count);
    return r.scale ? hn::Mul(v, load_some(d, r.scale + i, count)) : v;
  };
  auto products = [&](int64_t i, int64_t count)
                      HWY_ATTR { return first_of(d, hn::Mul(g(i, count), h(i, count)), count); };
  const auto length = static_cast<double>(n);
  const auto mean_g = hn::Set(d, static_cast<T>(lane_vector_sum<T>(n, g) / length));
  const auto mean_gh = hn::Set(d, static_cast<T>(lane_vector_sum<T>(n, products) / length));
  for_each_vector<T>(n, [&](int64_t i, int64_t count) HWY_ATTR {
    const auto flows = hn::Sub(g(i, count), mean_g);
    store_some(d, hn::Mul(hn::Sub(flows, hn::Mul(h(i, count), mean_gh)), factor), dx + i, count);
  });
  if (!r.sums) return;
  for_each_vector<T>(n, [&](int64_t i, int64_t count) HWY_ATTR {
    const auto v = load_some(d, dy + i, count);
    T *scales = r.sums + i, *biases = r.sums + n + i;
    const auto scale = hn::Add(load_some(d, scales, count), hn::Mul(v, h(i, count)));
    store_some(d, scale, scales, count);
    store_some(d, hn::Add(load_some(d, biases, count), v), biases, count);
  });
}

double sum_float(const float* x, const Stretches& s) { return rows_sum(x, s); }
double sum_double(const double* x, const Stretches& s) { return rows_sum(x, s); }
double squares_float(const float* x, const Stretches& s, float centre) {
  return rows_squares(x, s, centre);
}
double squares_double(const double* x, const Stretches& s, double centre) {
  return rows_squares(x, s, centre);
}
TwoSums sums_float(const float* dy, const float* x, const Stretches& s) {
  return rows_sums(dy, x, s);
}
TwoSums sums_double(const double* dy, const double* x, const Stretches& s) {
  return rows_sums(dy, x, s);
}
TwoSums centred_float(const float* dy, const float* x, const Stretches& s, float centre) {
  return rows_centred(dy, x, s, centre);
}
TwoSums centred_double(const double* dy, const double* x, const Stretches& s, double centre) {
  return rows_centred(dy, x, s, centre);
}
void normalize_float(const NormalizedRow<float>& r, const float* x, int64_t n, float* y) {
  normalize(r, x, n, y);
}
void normalize_double(const NormalizedRow<double>& r, const double* x, int64_t n, double* y) {
  normalize(r, x, n, y);
}
void normalize_gradient_float(const NormalizedRowGradient<float>& r, const float* dy,
                              const float* x, int64_t n, float* dx) {
  normalize_gradient(r, dy, x, n, dx);
}
void normalize_gradient_double(const NormalizedRowGradient<double>& r, const double* dy,
                               const double* x, int64_t n, double* dx) {
  normalize_gradient(r, dy, x, n, dx);
}

void normalize_scaled_float(const ScaledRow<float>& r, const float* x, int64_t n, float* y) {
  normalize_scaled(r, x, n, y);
}
void normalize_scaled_double(const ScaledRow<double>& r, const double* x, int64_t n, double* y) {
  normalize_scaled(r, x, n, y);
}
void normalize_scaled_gradient_float(const ScaledRowGradient<float>& r, const float* dy,
                                     const float* x, int64_t n, float* dx) {
  normalize_scaled_gradient(r, dy, x, n, dx);
}
void normalize_scaled_gradient_double(const ScaledRowGradient<double>& r, const double* dy,
                                      const double* x, int64_t n, double* dx) {
  normalize_scaled_gradient(r, dy, x, n, dx);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(sum_float);
HWY_EXPORT(sum_double);
HWY_EXPORT(squares_float);
HWY_EXPORT(squares_double);
HWY_EXPORT(sums_float);
HWY_EXPORT(sums_double);
HWY_EXPORT(centred_float);
HWY_EXPORT(centred_double);
HWY_EXPORT(normalize_float);
HWY_EXPORT(normalize_double);
HWY_EXPORT(normalize_gradient_float);
HWY_EXPORT(normalize_gradient_double);

double sum_of(const float* x, const Stretches& s) { return HWY_DYNAMIC_DISPATCH(sum_float)(x, s); }
double sum_of(const double* x, const Stretches& s) {
  return HWY_DYNAMIC_DISPATCH(sum_double)(x, s);
}
double sum_of_squares(const float* x, const Stretches& s, float centre) {
  return HWY_DYNAMIC_DISPATCH(squares_float)(x, s, centre);
}
double sum_of_squares(const double* x, const Stretches& s, double centre) {
  return HWY_DYNAMIC_DISPATCH(squares_double)(x, s, centre);
}
TwoSums sums_of(const float* dy, const float* x, const Stretches& s) {
  return HWY_DYNAMIC_DISPATCH(sums_float)(dy, x, s);
}
TwoSums sums_of(const double* dy, const double* x, const Stretches& s) {
  return HWY_DYNAMIC_DISPATCH(sums_double)(dy, x, s);
}
TwoSums centred_sums(const float* dy, const float* x, const Stretches& s, float centre) {
  return HWY_DYNAMIC_DISPATCH(centred_float)(dy, x, s, centre);
}
TwoSums centred_sums(const double* dy, const double* x, const Stretches& s, double centre) {
  return HWY_DYNAMIC_DISPATCH(centred_double)(dy, x, s, centre);
}
void normalize_row(const NormalizedRow<float>& r, const float* x, int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(normalize_float)(r, x, n, y);
}
void normalize_row(const NormalizedRow<double>& r, const double* x, int64_t n, double* y) {
  HWY_DYNAMIC_DISPATCH(normalize_double)(r, x, n, y);
}
void normalize_row_gradient(const NormalizedRowGradient<float>& r, const float* dy, const float* x,
                            int64_t n, float* dx) {
  HWY_DYNAMIC_DISPATCH(normalize_gradient_float)(r, dy, x, n, dx);
}
void normalize_row_gradient(const NormalizedRowGradient<double>& r, const double* dy,
                            const double* x, int64_t n, double* dx) {
  HWY_DYNAMIC_DISPATCH(normalize_gradient_double)(r, dy, x, n, dx);
}

HWY_EXPORT(normalize_scaled_float);
HWY_EXPORT(normalize_scaled_double);
HWY_EXPORT(normalize_scaled_gradient_float);
HWY_EXPORT(normalize_scaled_gradient_double);

void normalize_row(const ScaledRow<float>& r, const float* x, int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(normalize_scaled_float)(r, x, n, y);
}
void normalize_row(const ScaledRow<double>& r, const double* x, int64_t n, double* y) {
  HWY_DYNAMIC_DISPATCH(normalize_scaled_double)(r, x, n, y);
}
void normalize_row_gradient(const ScaledRowGradient<float>& r, const float* dy, const float* x,
                            int64_t n, float* dx) {
  HWY_DYNAMIC_DISPATCH(normalize_scaled_gradient_float)(r, dy, x, n, dx);
}
void normalize_row_gradient(const ScaledRowGradient<double>& r, const double* dy, const double* x,
                            int64_t n, double* dx) {
  HWY_DYNAMIC_DISPATCH(normalize_scaled_gradient_double)(r, dy, x, n, dx);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
