#include "kernels/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_math.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/simd-inl.h"
#include "kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// Lanes past n hold 1, which no function finds hard.
template <class D, typename T>
HWY_INLINE hn::Vec<D> load_padded(D d, const T* x, size_t n) {
  return hn::IfThenElse(hn::FirstN(d, n), load_first(d, x, n), constant(d, 1));
}

template <typename T, class F>
HWY_INLINE void map(const T* x, T* y, int64_t n, F f) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, x + i)), d, y + i);
  if (i == n) return;
  auto rest = static_cast<size_t>(n - i);
  store_first(d, f(d, load_padded(d, x + i, rest)), y + i, rest);
}

// f computes in double.
template <class F>
HWY_INLINE void map_widened(const float* x, float* y, int64_t n, F f) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto widened = [&](auto v) HWY_ATTR { return hn::DemoteTo(df, f(d, hn::PromoteTo(d, v))); };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(widened(hn::LoadU(df, x + i)), df, y + i);
  if (i == n) return;
  auto rest = static_cast<size_t>(n - i);
  store_first(df, widened(load_padded(df, x + i, rest)), y + i, rest);
}

#define ONNXRUN_MAP(NAME, F)                                                    \
  void NAME##_float(const float* x, float* y, int64_t n) { map(x, y, n, F()); } \
  void NAME##_double(const double* x, double* y, int64_t n) { map(x, y, n, F()); }
ONNXRUN_MAP(vexp, Exp)
ONNXRUN_MAP(vexpm1, Expm1)
ONNXRUN_MAP(vlog, Log)
ONNXRUN_MAP(vlog1p, Log1p)
ONNXRUN_MAP(vtanh, Tanh)
ONNXRUN_MAP(vsigmoid, Sigmoid)
ONNXRUN_MAP(vsilu, Silu)
ONNXRUN_MAP(vsoftplus, Softplus)
ONNXRUN_MAP(verf, Erf)
ONNXRUN_MAP(vgelu, Gelu)
ONNXRUN_MAP(vgelu_tanh, GeluTanh)
ONNXRUN_MAP(vsqrt, Sqrt)
#undef ONNXRUN_MAP

void vsin_float(const float* x, float* y, int64_t n) { map_widened(x, y, n, SinCos<0, false>()); }
void vcos_float(const float* x, float* y, int64_t n) { map_widened(x, y, n, SinCos<1, false>()); }
void vsin_double(const double* x, double* y, int64_t n) { map(x, y, n, SinCos<0, true>()); }
void vcos_double(const double* x, double* y, int64_t n) { map(x, y, n, SinCos<1, true>()); }

// x^y for float lanes held in double; zero, infinite and NaN arguments and roots of negative
// numbers are left to the C library.
template <class D, class V>
HWY_INLINE V pow_widened(D d, V x, V y) {
  V zero = hn::Zero(d), one = constant(d, 1), half = constant(d, 0.5);
  auto is_negative = hn::Lt(x, zero);
  auto easy = hn::And(hn::And(hn::IsFinite(x), hn::IsFinite(y)),
                      hn::Or(hn::Gt(x, zero), hn::And(is_negative, is_whole(d, y))));
  V magnitude = pow_magnitude(d, hn::IfThenElse(easy, x, one), hn::IfThenElse(easy, y, one));
  auto is_odd = hn::Not(is_whole(d, hn::Mul(y, half)));
  V result = hn::IfThenElse(hn::And(is_negative, is_odd), hn::Neg(magnitude), magnitude);
  if (HWY_LIKELY(hn::AllTrue(d, easy))) return result;
  HWY_ALIGN double xs[HWY_MAX_BYTES / sizeof(double)], out[HWY_MAX_BYTES / sizeof(double)];
  HWY_ALIGN double ys[HWY_MAX_BYTES / sizeof(double)], hard[HWY_MAX_BYTES / sizeof(double)];
  hn::Store(x, d, xs);
  hn::Store(y, d, ys);
  hn::Store(result, d, out);
  hn::Store(hn::IfThenZeroElse(easy, one), d, hard);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (hard[i] != 0) out[i] = std::pow(static_cast<float>(xs[i]), static_cast<float>(ys[i]));
  }
  return hn::Load(d, out);
}

// step is 1 for an array of exponents and 0 for one exponent.
template <int64_t step>
HWY_INLINE void pow_loop(const float* x, const float* y, float* out, int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto compute = [&](auto xv, auto yv) HWY_ATTR {
    return hn::DemoteTo(df, pow_widened(d, hn::PromoteTo(d, xv), hn::PromoteTo(d, yv)));
  };
  const auto same = hn::Set(df, step == 0 && n > 0 ? *y : 0.0f);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto yv = step == 0 ? same : hn::LoadU(df, y + i * step);
    hn::StoreU(compute(hn::LoadU(df, x + i), yv), df, out + i);
  }
  if (i == n) return;
  auto rest = static_cast<size_t>(n - i);
  auto yv = step == 0 ? same : load_padded(df, y + i * step, rest);
  store_first(df, compute(load_padded(df, x + i, rest), yv), out + i, rest);
}

void pow_arrays(const float* x, const float* y, float* out, int64_t n) {
  pow_loop<1>(x, y, out, n);
}
void pow_scalar(const float* x, const float* y, float* out, int64_t n) {
  pow_loop<0>(x, y, out, n);
}

template <typename T>
HWY_INLINE bool all_finite_loop(const T* x, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  // x - x is 0 for finite x and NaN for all others, and NaN stays in a sum.
  auto a = hn::Zero(d), b = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    auto v = hn::LoadU(d, x + i), w = hn::LoadU(d, x + i + lanes);
    a = hn::Add(a, hn::Sub(v, v));
    b = hn::Add(b, hn::Sub(w, w));
  }
  for (; i < n; i += lanes) {
    auto v = load_padded(d, x + i, static_cast<size_t>(HWY_MIN(lanes, n - i)));
    a = hn::Add(a, hn::Sub(v, v));
  }
  return hn::AllTrue(d, hn::Eq(hn::Add(a, b), hn::Zero(d)));
}

// The smallest one is the largest of what is negated.
template <bool smallest, typename T>
HWY_INLINE T extreme_loop(const T* x, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto lowest = constant(d, -HUGE_VAL);
  auto a = lowest, b = lowest, nan = hn::Zero(d);
  auto take = [&](auto& best, auto element) HWY_ATTR {
    const auto v = smallest ? hn::Neg(element) : element;
    nan = hn::IfThenElse(hn::Eq(v, v), nan, v);
    best = hn::IfThenElse(hn::Gt(v, best), v, best);
  };
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    take(a, hn::LoadU(d, x + i));
    take(b, hn::LoadU(d, x + i + lanes));
  }
  for (; i < n; i += lanes) {
    auto count = static_cast<size_t>(HWY_MIN(lanes, n - i));
    const auto none = smallest ? hn::Neg(lowest) : lowest;
    take(a, hn::IfThenElse(hn::FirstN(d, count), load_first(d, x + i, count), none));
  }
  if (!hn::AllTrue(d, hn::Eq(nan, nan))) return std::numeric_limits<T>::quiet_NaN();
  const T best = hn::GetLane(hn::MaxOfLanes(d, hn::Max(a, b)));
  return smallest ? -best : best;
}

// Sixteen sums, as many vectors of them as it takes.
template <typename T>
HWY_INLINE double sum_loop(const T* x, int64_t n) {
  constexpr int64_t lanes = 16;
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<T, decltype(d)> dt;
  constexpr size_t width = hn::MaxLanes(d), vectors = lanes / width;
  auto load = [&](const T* from) HWY_ATTR {
    if constexpr (std::is_same_v<T, double>) {
      return hn::LoadU(d, from);
    } else {
      return hn::PromoteTo(d, hn::LoadU(dt, from));
    }
  };
  hn::Vec<decltype(d)> sums[vectors];
  for (size_t v = 0; v < vectors; ++v) sums[v] = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (size_t v = 0; v < vectors; ++v) {
      sums[v] = hn::Add(sums[v], load(x + i + static_cast<int64_t>(v * width)));
    }
  }
  HWY_ALIGN double all[lanes];
  for (size_t v = 0; v < vectors; ++v) hn::Store(sums[v], d, all + v * width);
  for (; i < n; ++i) all[i % lanes] += static_cast<double>(x[i]);
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) all[l] += all[l + half];
  }
  return all[0];
}

// Lanes of T added up in double.
template <typename T>
class DoubleSum {
 public:
  HWY_INLINE void add(hn::Vec<hn::ScalableTag<T>> v) {
    const hn::ScalableTag<T> d;
    const hn::ScalableTag<double> wide;
    HWY_ALIGN T lanes[size];
    hn::Store(v, d, lanes);
    for (size_t i = 0; i < size; i += hn::Lanes(wide)) {
      hn::Store(hn::Add(hn::Load(wide, sums_ + i), widened(lanes + i)), wide, sums_ + i);
    }
  }
  double total() const {
    double sum = 0;
    for (double lane : sums_) sum += lane;
    return sum;
  }

 private:
  static HWY_INLINE hn::Vec<hn::ScalableTag<double>> widened(const T* lanes) {
    const hn::ScalableTag<double> wide;
    if constexpr (std::is_same_v<T, double>) {
      return hn::LoadU(wide, lanes);
    } else {
      return hn::PromoteTo(wide, hn::LoadU(hn::Rebind<T, decltype(wide)>(), lanes));
    }
  }

  static constexpr size_t size = hn::MaxLanes(hn::ScalableTag<T>());
  HWY_ALIGN double sums_[size] = {};
};

// Eight vectors are added as they are, what they give in double. Where there is another row behind
// this one, it is in the cache afterwards; elsewhere fetching what is not there does nothing.
template <typename T>
HWY_INLINE double exp_and_sum_loop(const T* x, T shift, T* y, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto top = hn::Set(d, shift);
  DoubleSum<T> sum;
  int64_t i = 0;
  auto next = [&]() HWY_ATTR __attribute__((always_inline)) {
    hwy::Prefetch(x + n + i);
    const auto v = ExpOfNegative()(d, hn::Sub(hn::LoadU(d, x + i), top));
    hn::StoreU(v, d, y + i);
    i += lanes;
    return v;
  };
  while (i + 8 * lanes <= n) {
    auto even = next(), odd = next();
    for (int k = 1; k < 4; ++k) {
      even = hn::Add(even, next());
      odd = hn::Add(odd, next());
    }
    sum.add(hn::Add(even, odd));
  }
  while (i + lanes <= n) sum.add(next());
  if (i < n) {
    const auto rest = static_cast<size_t>(n - i);
    const auto v = ExpOfNegative()(d, hn::Sub(load_first(d, x + i, rest), top));
    store_first(d, v, y + i, rest);
    sum.add(hn::IfThenElseZero(hn::FirstN(d, rest), v));
  }
  return sum.total();
}

double exp_and_sum_float(const float* x, float shift, float* y, int64_t n) {
  return exp_and_sum_loop(x, shift, y, n);
}
double exp_and_sum_double(const double* x, double shift, double* y, int64_t n) {
  return exp_and_sum_loop(x, shift, y, n);
}

// Four at a time; Max gives its second operand if one is NaN, or NaN.
template <typename T>
HWY_INLINE T largest_loop(const T* x, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto lowest = constant(d, -HUGE_VAL);
  auto a = lowest, b = lowest, c = lowest, e = lowest;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::Max(hn::LoadU(d, x + i), a);
    b = hn::Max(hn::LoadU(d, x + i + lanes), b);
    c = hn::Max(hn::LoadU(d, x + i + 2 * lanes), c);
    e = hn::Max(hn::LoadU(d, x + i + 3 * lanes), e);
  }
  for (; i + lanes <= n; i += lanes) a = hn::Max(hn::LoadU(d, x + i), a);
  if (i < n) {
    const auto rest = static_cast<size_t>(n - i);
    b = hn::Max(hn::IfThenElse(hn::FirstN(d, rest), load_first(d, x + i, rest), lowest), b);
  }
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(a, b), hn::Max(c, e))));
}

float largest_float(const float* x, int64_t n) { return largest_loop(x, n); }
double largest_double(const double* x, int64_t n) { return largest_loop(x, n); }

double sum_float(const float* x, int64_t n) { return sum_loop(x, n); }
double sum_double(const double* x, int64_t n) { return sum_loop(x, n); }

float maximum_float(const float* x, int64_t n) { return extreme_loop<false>(x, n); }
double maximum_double(const double* x, int64_t n) { return extreme_loop<false>(x, n); }
float minimum_float(const float* x, int64_t n) { return extreme_loop<true>(x, n); }
double minimum_double(const double* x, int64_t n) { return extreme_loop<true>(x, n); }

bool all_finite_float(const float* x, int64_t n) { return all_finite_loop(x, n); }
bool all_finite_double(const double* x, int64_t n) { return all_finite_loop(x, n); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

#define ONNXRUN_DISPATCH(NAME)                                                                    \
  HWY_EXPORT(NAME##_float);                                                                       \
  HWY_EXPORT(NAME##_double);                                                                      \
  void NAME(const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(NAME##_float)(x, y, n); } \
  void NAME(const double* x, double* y, int64_t n) { HWY_DYNAMIC_DISPATCH(NAME##_double)(x, y, n); }
ONNXRUN_DISPATCH(vexp)
ONNXRUN_DISPATCH(vexpm1)
ONNXRUN_DISPATCH(vlog)
ONNXRUN_DISPATCH(vlog1p)
ONNXRUN_DISPATCH(vtanh)
ONNXRUN_DISPATCH(vsigmoid)
ONNXRUN_DISPATCH(vsilu)
ONNXRUN_DISPATCH(vsoftplus)
ONNXRUN_DISPATCH(verf)
ONNXRUN_DISPATCH(vgelu)
ONNXRUN_DISPATCH(vgelu_tanh)
ONNXRUN_DISPATCH(vsin)
ONNXRUN_DISPATCH(vcos)
ONNXRUN_DISPATCH(vsqrt)
#undef ONNXRUN_DISPATCH

HWY_EXPORT(pow_arrays);
HWY_EXPORT(pow_scalar);
void vpow(const float* x, const float* y, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(pow_arrays)(x, y, out, n);
}
void vpow(const float* x, float y, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(pow_scalar)(x, &y, out, n);
}
void vpow(const double* x, const double* y, double* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::pow(x[i], y[i]);
}
void vpow(const double* x, double y, double* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::pow(x[i], y);
}

HWY_EXPORT(all_finite_float);
HWY_EXPORT(all_finite_double);
HWY_EXPORT(sum_float);
HWY_EXPORT(sum_double);
HWY_EXPORT(exp_and_sum_float);
HWY_EXPORT(exp_and_sum_double);
HWY_EXPORT(largest_float);
HWY_EXPORT(largest_double);
HWY_EXPORT(maximum_float);
HWY_EXPORT(maximum_double);
HWY_EXPORT(minimum_float);
HWY_EXPORT(minimum_double);
bool all_finite(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(all_finite_float)(x, n); }
bool all_finite(const double* x, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(all_finite_double)(x, n);
}
double sum_in_double(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(sum_float)(x, n); }
double sum_in_double(const double* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(sum_double)(x, n); }
double exp_and_sum(const float* x, float shift, float* y, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(exp_and_sum_float)(x, shift, y, n);
}
double exp_and_sum(const double* x, double shift, double* y, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(exp_and_sum_double)(x, shift, y, n);
}
float largest_number(const float* x, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(largest_float)(x, n);
}
double largest_number(const double* x, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(largest_double)(x, n);
}
float maximum(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(maximum_float)(x, n); }
double maximum(const double* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(maximum_double)(x, n); }
float minimum(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(minimum_float)(x, n); }
double minimum(const double* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(minimum_double)(x, n); }

}  // namespace onnxrun
#endif  // HWY_ONCE
