#include "kernels/ranges.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ranges.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Least, greatest, and as finite_numbers.h does a sum of products with 0 that no NaN leaves.
template <class D>
struct Extent {
  hn::Vec<D> low, high, zeros;

  explicit Extent(D d, hn::Vec<D> x) : low(x), high(x), zeros(hn::Zero(d)) {}

  HWY_INLINE void add(D d, hn::Vec<D> x) {
    low = hn::Min(low, x);
    high = hn::Max(high, x);
    zeros = hn::MulAdd(x, hn::Zero(d), zeros);
  }
};

template <typename T>
bool extent(const T* x, int64_t n, Range<T>* range) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  Extent even(d, hn::Set(d, x[0])), odd = even;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even.add(d, hn::LoadU(d, x + i));
    odd.add(d, hn::LoadU(d, x + i + lanes));
  }
  for (; i + lanes <= n; i += lanes) even.add(d, hn::LoadU(d, x + i));
  for (; i < n; ++i) odd.add(d, hn::Set(d, x[i]));
  const auto zeros = hn::Add(even.zeros, odd.zeros);
  if (!hn::AllTrue(d, hn::Eq(zeros, zeros))) return false;
  range->low = hn::GetLane(hn::MinOfLanes(d, hn::Min(even.low, odd.low)));
  range->high = hn::GetLane(hn::MaxOfLanes(d, hn::Max(even.high, odd.high)));
  return true;
}

bool extent_float(const float* x, int64_t n, Range<float>* range) { return extent(x, n, range); }
bool extent_double(const double* x, int64_t n, Range<double>* range) { return extent(x, n, range); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(extent_float);
HWY_EXPORT(extent_double);

std::optional<Range<float>> finite_range(const float* x, int64_t n) {
  Range<float> range;
  return HWY_DYNAMIC_DISPATCH(extent_float)(x, n, &range) ? std::optional(range) : std::nullopt;
}
std::optional<Range<double>> finite_range(const double* x, int64_t n) {
  Range<double> range;
  return HWY_DYNAMIC_DISPATCH(extent_double)(x, n, &range) ? std::optional(range) : std::nullopt;
}

namespace {

template <typename T>
Range<T> range_between(std::initializer_list<T> ends) {
  auto [low, high] = std::minmax(ends);
  return {low, high};
}

// Of the corners: what is monotone in each operand is so after rounding, too.
template <typename T, typename F>
Range<T> of_corners(const Range<T>& a, const Range<T>& b, const F& f) {
  return range_between<T>({f(a.low, b.low), f(a.low, b.high), f(a.high, b.low), f(a.high, b.high)});
}

template <typename T>
std::optional<Range<T>> quotient(const Range<T>& a, const Range<T>& b) {
  if (b.low <= 0 && b.high >= 0) return std::nullopt;
  return of_corners(a, b, [](T x, T y) { return x / y; });
}

template <typename T>
Range<T> product(const Range<T>& a, const Range<T>& b, bool is_square) {
  if (!is_square) return of_corners(a, b, [](T x, T y) { return x * y; });
  const bool has_zero = a.low <= 0 && a.high >= 0;
  Range<T> squares = range_between<T>({a.low * a.low, a.high * a.high});
  return {has_zero ? T(0) : squares.low, squares.high};
}

template <typename T>
std::optional<Range<T>> exponential(const Range<T>& a) {
  const T largest = std::log(std::numeric_limits<T>::max()) - 1;
  if (a.high > largest) return std::nullopt;
  return Range<T>{0, 2 * std::exp(a.high)};
}

template <typename T>
std::optional<Range<T>> logarithm(const Range<T>& a) {
  if (a.low < std::numeric_limits<T>::min()) return std::nullopt;
  return Range<T>{std::log(a.low) - 1, std::log(a.high) + 1};
}

template <typename T>
Range<T> ends_through(const Range<T>& a, T (*f)(T)) {
  return {f(a.low), f(a.high)};
}

// Elementary functions have some room for their errors.
template <typename T>
std::optional<Range<T>> through(ElementFunction f, std::span<const Range<T>> x, bool is_square) {
  using enum ElementFunction;
  const Range<T>&a = x[0], &b = x[x.size() > 1 ? 1 : 0];
  switch (f) {
    case Add:
      return Range<T>{a.low + b.low, a.high + b.high};
    case Sub:
      return Range<T>{a.low - b.high, a.high - b.low};
    case Mul:
      return product(a, b, is_square);
    case Div:
      return quotient(a, b);
    case Min:
      return Range<T>{std::min(a.low, b.low), std::min(a.high, b.high)};
    case Max:
      return Range<T>{std::max(a.low, b.low), std::max(a.high, b.high)};
    case Neg:
      return Range<T>{-a.high, -a.low};
    case Abs:
      return Range<T>{0, std::max(std::abs(a.low), std::abs(a.high))};
    case Round:
      return ends_through<T>(a, std::nearbyint);
    case Floor:
      return ends_through<T>(a, std::floor);
    case Ceil:
      return ends_through<T>(a, std::ceil);
    case Reciprocal:
      return quotient({1, 1}, a);
    case Relu:
      return Range<T>{std::max(a.low, T(0)), std::max(a.high, T(0))};
    case Sqrt:
      return a.low < 0 ? std::nullopt : std::optional(ends_through<T>(a, std::sqrt));
    case Exp:
      return exponential(a);
    case Log:
      return logarithm(a);
    case Tanh:
    case Erf:
      return Range<T>{-2, 2};
    case Sigmoid:
      return Range<T>{0, 2};
    case Softplus:
      return Range<T>{0, std::max(a.high, T(0)) + 1};
    case Where:
      return Range<T>{std::min(b.low, x[2].low), std::max(b.high, x[2].high)};
    default:
      return Range<T>{0, 1};
  }
}

template <typename T>
std::optional<Range<T>> finite_through(ElementFunction f, std::span<const Range<T>> operands,
                                       bool is_square) {
  const std::optional<Range<T>> range = through(f, operands, is_square);
  const bool is_finite = range && std::isfinite(range->low) && std::isfinite(range->high);
  return is_finite ? range : std::nullopt;
}

}  // namespace

template <>
std::optional<Range<float>> range_through(ElementFunction f, std::span<const Range<float>> operands,
                                          bool is_square) {
  return finite_through(f, operands, is_square);
}
template <>
std::optional<Range<double>> range_through(ElementFunction f,
                                           std::span<const Range<double>> operands,
                                           bool is_square) {
  return finite_through(f, operands, is_square);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
