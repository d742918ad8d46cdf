// Rows in whole vectors, without masks, which are slow to store; included once for every
// instruction set.
#if defined(ONNXRUN_ROW_VECTORS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_ROW_VECTORS_INL
#undef ONNXRUN_ROW_VECTORS_INL
#else
#define ONNXRUN_ROW_VECTORS_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls f(d) with the longest vector of which one is in `count` elements, or one lane.
template <class D, class F>
HWY_INLINE void with_vectors(D d, int64_t count, const F& f) {
  using T = hn::TFromD<D>;
  if constexpr (hn::MaxLanes(D()) == 1) {
    f(d);
  } else if (count >= static_cast<int64_t>(hn::MaxLanes(d))) {
    f(d);
  } else if constexpr (hn::MaxLanes(D()) * sizeof(T) > 16) {
    with_vectors(hn::Half<D>(), count, f);
  } else {
    f(hn::CappedTag<T, 1>());
  }
}

// Calls f(i) for vectors that cover `count` elements, which are enough for one; the last may begin
// within the one before.
template <class D, class F>
HWY_INLINE void for_each_whole_vector(D d, int64_t count, const F& f) {
  const auto lanes = static_cast<int64_t>(hn::MaxLanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) f(i);
  if (i < count) f(count - lanes);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
