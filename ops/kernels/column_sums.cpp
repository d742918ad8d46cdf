#include "kernels/column_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/column_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void add_floats(const float* x, int64_t n, double* sums) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(narrow, x + i));
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), wide), d, sums + i);
  }
  for (; i < n; ++i) sums[i] += static_cast<double>(x[i]);
}

void add_doubles(const double* x, int64_t n, double* sums) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::LoadU(d, x + i)), d, sums + i);
  }
  for (; i < n; ++i) sums[i] += x[i];
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(add_floats);
HWY_EXPORT(add_doubles);

void add_to_sums(const float* x, int64_t n, double* sums) {
  HWY_DYNAMIC_DISPATCH(add_floats)(x, n, sums);
}
void add_to_sums(const double* x, int64_t n, double* sums) {
  HWY_DYNAMIC_DISPATCH(add_doubles)(x, n, sums);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
