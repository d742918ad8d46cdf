// Dot products of the terms of two words; included once for every instruction set.
#if defined(ONNXRUN_BYTE_DOTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_BYTE_DOTS_INL
#undef ONNXRUN_BYTE_DOTS_INL
#else
#define ONNXRUN_BYTE_DOTS_INL
#endif

#include <hwy/highway.h>

#include "kernels/byte_dots.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<int32_t>;
using Word = hn::Vec<Words>;

struct PairDots {
  static constexpr Dots dots = Dots::Pairs;
  static HWY_INLINE Word add(Word a, Word b, Word sum) {
#if HWY_TARGET == HWY_SCALAR
    const auto low = [](Word v) HWY_ATTR { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
    const Word high = hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b));
    return hn::Add(hn::Add(sum, high), hn::Mul(low(a), low(b)));
#else
    const Words d;
    const hn::Repartition<int16_t, Words> pairs;
    Word other = hn::Zero(d);
    const Word some = hn::ReorderWidenMulAccumulate(d, hn::BitCast(pairs, a), hn::BitCast(pairs, b),
                                                    hn::Zero(d), other);
    return hn::Add(sum, hn::RearrangeToOddPlusEven(some, other));
#endif
  }
};

#if HWY_TARGET == HWY_AVX3
// Highway's own target with these instructions lets the compiler use others that not every
// processor with them has.
struct QuadDots {
  static constexpr Dots dots = Dots::Quads;
  static HWY_INLINE Word add(Word a, Word b, Word sum) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(b.raw), "v"(a.raw));
    return sum;
  }
};
#endif

// Calls f.operator()<Dot>().
template <class F>
HWY_INLINE void with_dots(Dots dots, const F& f) {
#if HWY_TARGET == HWY_AVX3
  if (dots == Dots::Quads) return f.template operator()<QuadDots>();
#endif
  (void)dots;
  f.template operator()<PairDots>();
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
