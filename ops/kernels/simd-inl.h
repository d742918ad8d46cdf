// Helpers of the vectorised kernels; included once for every instruction set.
#if defined(ONNXRUN_SIMD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_SIMD_INL
#undef ONNXRUN_SIMD_INL
#else
#define ONNXRUN_SIMD_INL
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstring>

#include "kernels/limits.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Loads and stores that touch only the first n < Lanes(d) elements; other lanes are loaded as 0.
template <class D, typename T>
HWY_INLINE hn::Vec<D> load_first(D d, const T* x, size_t n) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, n), d, x);
#else
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(hn::Zero(d), d, lanes);
  std::memcpy(lanes, x, n * sizeof(T));
  return hn::Load(d, lanes);
#endif
}

template <class D, typename T>
HWY_INLINE void store_first(D d, hn::Vec<D> v, T* y, size_t n) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, n), d, y);
#else
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(v, d, lanes);
  std::memcpy(y, lanes, n * sizeof(T));
#endif
}

// Limits in registers. Made where sums are complete, it takes none from the loop before; stores to
// memory cannot change it.
template <class D>
class VectorLimits {
 public:
  HWY_INLINE VectorLimits(D d, const Limits<hn::TFromD<D>>* limits)
      : bind_(limits != nullptr),
        low_(limits ? hn::Set(d, limits->low) : hn::Zero(d)),
        high_(limits ? hn::Set(d, limits->high) : hn::Zero(d)) {}

  HWY_INLINE hn::Vec<D> operator()(hn::Vec<D> x) const {
    if (!bind_) return x;
#if HWY_ARCH_X86
    // The second operand if they are not in order.
    return hn::Min(high_, hn::Max(low_, x));
#else
    const auto raised = hn::IfThenElse(hn::Lt(x, low_), low_, x);
    return hn::IfThenElse(hn::Lt(high_, raised), high_, raised);
#endif
  }

 private:
  bool bind_;
  hn::Vec<D> low_, high_;
};

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
