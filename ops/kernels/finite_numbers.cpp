#include "kernels/finite_numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/finite_numbers.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 0 times a number is 0 if it is finite, and NaN if not, which no sum loses.
template <typename T>
bool finite(const T* x, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto zero = hn::Zero(d);
  auto sum = zero, other = zero;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    sum = hn::MulAdd(hn::LoadU(d, x + i), zero, sum);
    other = hn::MulAdd(hn::LoadU(d, x + i + lanes), zero, other);
  }
  for (; i < n; i += lanes) {
    const auto rest = static_cast<size_t>(HWY_MIN(lanes, n - i));
    sum = hn::MulAdd(load_first(d, x + i, rest), zero, sum);
  }
  sum = hn::Add(sum, other);
  return hn::AllTrue(d, hn::Eq(sum, sum));
}

bool finite_float(const float* x, int64_t n) { return finite(x, n); }
bool finite_double(const double* x, int64_t n) { return finite(x, n); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(finite_float);
HWY_EXPORT(finite_double);

bool are_finite(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(finite_float)(x, n); }
bool are_finite(const double* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(finite_double)(x, n); }

}  // namespace onnxrun
#endif  // HWY_ONCE
