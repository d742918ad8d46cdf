#include "kernels/array_functions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/array_functions.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "kernels/simd-inl.h"
#include "kernels/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// As many bytes as D has lanes.
template <class D>
using Bytes = hn::Rebind<uint8_t, D>;

template <class D>
HWY_INLINE hn::Vec<Bytes<D>> bytes_of_mask(D, hn::Mask<D> mask) {
  const hn::RebindToUnsigned<D> words;
  const auto ones = hn::IfThenElseZero(hn::RebindMask(words, mask), hn::Set(words, 1));
  return hn::TruncateTo(Bytes<D>(), ones);
}

template <class D>
HWY_INLINE hn::Mask<D> mask_of_bytes(D d, hn::Vec<Bytes<D>> bytes) {
  const hn::RebindToUnsigned<D> words;
  const hn::Rebind<uint32_t, D> halves;
  const auto wide = hn::PromoteTo(halves, bytes);
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::RebindMask(d, hn::Ne(wide, hn::Zero(halves)));
  } else {
    return hn::RebindMask(d, hn::Ne(hn::PromoteTo(words, wide), hn::Zero(words)));
  }
}

// How numbers and truth values lie in memory.
template <class D>
struct Numbers {
  using T = hn::TFromD<D>;
  static HWY_INLINE hn::Vec<D> one(D d, const void* p) {
    return hn::Set(d, *static_cast<const T*>(p));
  }
  static HWY_INLINE hn::Vec<D> load(D d, const void* p, int64_t i) {
    return hn::LoadU(d, static_cast<const T*>(p) + i);
  }
  static HWY_INLINE void store(D d, hn::Vec<D> v, void* p, int64_t i) {
    hn::StoreU(v, d, static_cast<T*>(p) + i);
  }
};

template <class D>
struct Truths {
  static HWY_INLINE hn::Mask<D> one(D d, const void* p) {
    const hn::RebindToUnsigned<D> words;
    const auto value = hn::Set(words, *static_cast<const bool*>(p) ? 1 : 0);
    return hn::RebindMask(d, hn::Ne(value, hn::Zero(words)));
  }
  static HWY_INLINE hn::Mask<D> load(D d, const void* p, int64_t i) {
    return mask_of_bytes(d, hn::LoadU(Bytes<D>(), static_cast<const uint8_t*>(p) + i));
  }
  static HWY_INLINE void store(D d, hn::Mask<D> m, void* p, int64_t i) {
    hn::StoreU(bytes_of_mask(d, m), Bytes<D>(), static_cast<uint8_t*>(p) + i);
  }
};

template <template <class> class Kind, bool repeated, class D>
HWY_INLINE auto load(D d, const void* p, int64_t i) {
  if constexpr (repeated) {
    return Kind<D>::one(d, p);
  } else {
    return Kind<D>::load(d, p, i);
  }
}

// Calls f(d, i) for whole vectors, then for what is left by ever smaller ones: partial loads and
// stores would keep what was just written from being read.
template <typename T, class F>
HWY_INLINE void for_each_vector(int64_t n, const F& f) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, 16 / sizeof(T)> quarter;
  const hn::CappedTag<T, 1> one;
  int64_t i = 0;
  auto run = [&](auto tag) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
    for (; i + lanes <= n; i += lanes) f(tag, i);
  };
  run(d);
  if (i == n) return;
  run(quarter);
  run(one);
}

template <typename T, class F>
void map_one(const void* const* in, unsigned repeated, void* out, int64_t n) {
  const int64_t step = repeated ? 0 : 1;
  for_each_vector<T>(n, [=](auto d, int64_t i) HWY_ATTR {
    using N = Numbers<decltype(d)>;
    N::store(d, F()(d, step ? N::load(d, in[0], i) : N::one(d, in[0])), out, i);
  });
}

template <typename T, class F, bool first, bool second>
HWY_INLINE void map_pairs(const void* a, const void* b, void* out, int64_t n) {
  for_each_vector<T>(n, [=](auto d, int64_t i) HWY_ATTR {
    using D = decltype(d);
    using Result = std::conditional_t<F::is_truth, Truths<D>, Numbers<D>>;
    Result::store(d, F()(d, load<Numbers, first>(d, a, i), load<Numbers, second>(d, b, i)), out, i);
  });
}

template <typename T, class F>
void map_two(const void* const* in, unsigned repeated, void* out, int64_t n) {
  switch (repeated) {
    case 0:
      return map_pairs<T, F, false, false>(in[0], in[1], out, n);
    case 1:
      return map_pairs<T, F, true, false>(in[0], in[1], out, n);
    case 2:
      return map_pairs<T, F, false, true>(in[0], in[1], out, n);
    default:
      return map_pairs<T, F, true, true>(in[0], in[1], out, n);
  }
}

template <typename T, bool condition, bool first, bool second>
HWY_INLINE void select(const void* const* in, void* out, int64_t n) {
  const void *c = in[0], *x = in[1], *y = in[2];
  for_each_vector<T>(n, [=](auto d, int64_t i) HWY_ATTR {
    const auto chosen =
        hn::IfThenElse(load<Truths, condition>(d, c, i), load<Numbers, first>(d, x, i),
                       load<Numbers, second>(d, y, i));
    Numbers<decltype(d)>::store(d, chosen, out, i);
  });
}

template <typename T, bool condition>
HWY_INLINE void select_by(const void* const* in, unsigned repeated, void* out, int64_t n) {
  switch (repeated >> 1) {
    case 0:
      return select<T, condition, false, false>(in, out, n);
    case 1:
      return select<T, condition, true, false>(in, out, n);
    case 2:
      return select<T, condition, false, true>(in, out, n);
    default:
      return select<T, condition, true, true>(in, out, n);
  }
}

template <typename T>
void map_where(const void* const* in, unsigned repeated, void* out, int64_t n) {
  if (repeated & 1) return select_by<T, true>(in, repeated, out, n);
  select_by<T, false>(in, repeated, out, n);
}

// The elementary functions, which vector_math.h dispatches itself.
template <typename T, void (*F)(const T*, T*, int64_t)>
void map_elementary(const void* const* in, unsigned repeated, void* out, int64_t n) {
  if (n == 0) return;
  auto* y = static_cast<T*>(out);
  if (repeated == 0) return F(static_cast<const T*>(in[0]), y, n);
  F(static_cast<const T*>(in[0]), y, 1);
  std::fill_n(y + 1, n - 1, *y);
}

#define ONNXRUN_ONE(NAME, EXPRESSION)                          \
  struct NAME {                                                \
    template <class D, class V>                                \
    HWY_INLINE V operator()([[maybe_unused]] D d, V a) const { \
      return EXPRESSION;                                       \
    }                                                          \
  };
ONNXRUN_ONE(Neg, hn::Neg(a))
ONNXRUN_ONE(Abs, hn::Abs(a))
ONNXRUN_ONE(Round, hn::Round(a))
ONNXRUN_ONE(Floor, hn::Floor(a))
ONNXRUN_ONE(Ceil, hn::Ceil(a))
ONNXRUN_ONE(Reciprocal, hn::Div(hn::Set(d, 1), a))
ONNXRUN_ONE(Relu, hn::IfThenElse(hn::Lt(a, hn::Zero(d)), hn::Zero(d), a))
ONNXRUN_ONE(Sqrt, hn::Sqrt(a))
#undef ONNXRUN_ONE

#define ONNXRUN_TWO(NAME, EXPRESSION)            \
  struct NAME {                                  \
    static constexpr bool is_truth = false;      \
    template <class D, class V>                  \
    HWY_INLINE V operator()(D, V a, V b) const { \
      return EXPRESSION;                         \
    }                                            \
  };
ONNXRUN_TWO(Add, hn::Add(a, b))
ONNXRUN_TWO(Sub, hn::Sub(a, b))
ONNXRUN_TWO(Mul, hn::Mul(a, b))
ONNXRUN_TWO(Div, hn::Div(a, b))
// A NaN wins; no comparison holds for it on all processors alike but Eq.
ONNXRUN_TWO(Min, hn::IfThenElse(hn::Or(hn::Lt(b, a), hn::Not(hn::Eq(b, b))), b, a))
ONNXRUN_TWO(Max, hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::Not(hn::Eq(b, b))), b, a))
#undef ONNXRUN_TWO

#define ONNXRUN_COMPARE(NAME, EXPRESSION)                  \
  struct NAME {                                            \
    static constexpr bool is_truth = true;                 \
    template <class D, class V>                            \
    HWY_INLINE hn::Mask<D> operator()(D, V a, V b) const { \
      return EXPRESSION;                                   \
    }                                                      \
  };
ONNXRUN_COMPARE(Less, hn::Lt(a, b))
ONNXRUN_COMPARE(LessOrEqual, hn::Le(a, b))
ONNXRUN_COMPARE(Greater, hn::Gt(a, b))
ONNXRUN_COMPARE(GreaterOrEqual, hn::Ge(a, b))
ONNXRUN_COMPARE(Equal, hn::Eq(a, b))
#undef ONNXRUN_COMPARE

template <typename T>
ArrayFunction find_function(ElementFunction f) {
  switch (f) {
#define ONNXRUN_CASE(NAME, FUNCTION) \
  case ElementFunction::NAME:        \
    return FUNCTION;
    ONNXRUN_CASE(Add, (map_two<T, Add>))
    ONNXRUN_CASE(Sub, (map_two<T, Sub>))
    ONNXRUN_CASE(Mul, (map_two<T, Mul>))
    ONNXRUN_CASE(Div, (map_two<T, Div>))
    ONNXRUN_CASE(Min, (map_two<T, Min>))
    ONNXRUN_CASE(Max, (map_two<T, Max>))
    ONNXRUN_CASE(Neg, (map_one<T, Neg>))
    ONNXRUN_CASE(Abs, (map_one<T, Abs>))
    ONNXRUN_CASE(Round, (map_one<T, Round>))
    ONNXRUN_CASE(Floor, (map_one<T, Floor>))
    ONNXRUN_CASE(Ceil, (map_one<T, Ceil>))
    ONNXRUN_CASE(Reciprocal, (map_one<T, Reciprocal>))
    ONNXRUN_CASE(Relu, (map_one<T, Relu>))
    ONNXRUN_CASE(Sqrt, (map_one<T, Sqrt>))
    ONNXRUN_CASE(Exp, (map_elementary<T, vexp>))
    ONNXRUN_CASE(Log, (map_elementary<T, vlog>))
    ONNXRUN_CASE(Tanh, (map_elementary<T, vtanh>))
    ONNXRUN_CASE(Sigmoid, (map_elementary<T, vsigmoid>))
    ONNXRUN_CASE(Softplus, (map_elementary<T, vsoftplus>))
    ONNXRUN_CASE(Erf, (map_elementary<T, verf>))
    ONNXRUN_CASE(Less, (map_two<T, Less>))
    ONNXRUN_CASE(LessOrEqual, (map_two<T, LessOrEqual>))
    ONNXRUN_CASE(Greater, (map_two<T, Greater>))
    ONNXRUN_CASE(GreaterOrEqual, (map_two<T, GreaterOrEqual>))
    ONNXRUN_CASE(Equal, (map_two<T, Equal>))
    ONNXRUN_CASE(Where, (map_where<T>))
#undef ONNXRUN_CASE
  }
  return nullptr;
}

ArrayFunction find_float(ElementFunction f) { return find_function<float>(f); }
ArrayFunction find_double(ElementFunction f) { return find_function<double>(f); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(find_float);
HWY_EXPORT(find_double);

template <>
ArrayFunction array_function<float>(ElementFunction f) {
  return HWY_DYNAMIC_DISPATCH(find_float)(f);
}
template <>
ArrayFunction array_function<double>(ElementFunction f) {
  return HWY_DYNAMIC_DISPATCH(find_double)(f);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
