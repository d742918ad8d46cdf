#include "kernels/max_pairs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max_pairs.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/row_vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class V>
struct Pairs {
  V first, second;
};

template <class D>
HWY_INLINE Pairs<hn::Vec<D>> load_pairs(D d, const hn::TFromD<D>* x) {
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(D()));
#if HWY_TARGET != HWY_SCALAR
  if constexpr (lanes > 1) {
    const auto low = hn::LoadU(d, x), high = hn::LoadU(d, x + lanes);
    return {hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low)};
  }
#endif
  return {hn::LoadU(d, x), hn::LoadU(d, x + lanes)};
}

template <class D>
HWY_INLINE void store_pairs(D d, hn::Vec<D> first, hn::Vec<D> second, hn::TFromD<D>* x) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(D()) > 1) return hn::StoreInterleaved2(first, second, d, x);
#endif
  hn::StoreU(first, d, x);
  hn::StoreU(second, d, x + 1);
}

// The largest of what every lane has seen, the first of equals, and the how manieth it was. A NaN
// is larger than all.
template <class D>
class Largest {
 public:
  HWY_INLINE Largest(D d, hn::Vec<D> first) : d_(d), best_(first), number_(hn::Zero(I())) {}

  HWY_INLINE void see(hn::Vec<D> v, int64_t number) {
    const auto wins = hn::Or(hn::Gt(v, best_), hn::IsNaN(v));
    best_ = hn::IfThenElse(wins, v, best_);
    number_ = hn::IfThenElse(hn::RebindMask(I(), wins), numbered(number), number_);
  }

  HWY_INLINE hn::Vec<D> best() const { return best_; }
  // `flow` in the lanes whose largest was this one.
  HWY_INLINE hn::Vec<D> where(int64_t number, hn::Vec<D> flow) const {
    return hn::IfThenElseZero(hn::RebindMask(d_, hn::Eq(number_, numbered(number))), flow);
  }

 private:
  using I = hn::RebindToSigned<D>;

  static HWY_INLINE hn::Vec<I> numbered(int64_t number) {
    return hn::Set(I(), static_cast<hn::TFromD<I>>(number));
  }

  D d_;
  hn::Vec<D> best_;
  hn::Vec<I> number_;
};

// How many lines a window has, mostly 2, for which loops are unrolled.
template <int height>
HWY_INLINE int64_t lines_of(const PaddedPlane& p) {
  return height > 0 ? height : p.lines.kernel;
}

// Of windows that begin at x.
template <int height, class D, typename T>
HWY_INLINE Largest<D> largest_of(D d, const PaddedPlane& p, const T* x) {
  const int64_t lines = lines_of<height>(p), pitch = p.columns.input;
  const auto top = load_pairs(d, x);
  Largest<D> largest(d, top.first);
  largest.see(top.second, 1);
  for (int64_t line = 1; line < lines; ++line) {
    const auto pairs = load_pairs(d, x + line * pitch);
    largest.see(pairs.first, 2 * line);
    largest.see(pairs.second, 2 * line + 1);
  }
  return largest;
}

template <int height, class D, typename T>
HWY_INLINE void max_planes_of(D d, const PaddedPlane& p, const T* x, T* y, int64_t planes) {
  const int64_t step = lines_of<height>(p) * p.columns.input, out = p.columns.output;
  for (int64_t plane = 0; plane < planes; ++plane, x += p.lines.input * p.columns.input) {
    for (int64_t line = 0; line < p.lines.output; ++line, y += out) {
      const T* from = x + line * step;
      for_each_whole_vector(d, out, [&](int64_t column) HWY_ATTR {
        hn::StoreU(largest_of<height>(d, p, from + 2 * column).best(), d, y + column);
      });
    }
  }
}

// One line of windows.
template <int height, class D, typename T>
HWY_INLINE void gradient_line(D d, const PaddedPlane& p, const MaxCotangents<T>& c) {
  const int64_t lines = lines_of<height>(p), pitch = p.columns.input;
  auto pairs = [&](int64_t column) HWY_ATTR __attribute__((always_inline)) {
    const auto largest = largest_of<height>(d, p, c.x + 2 * column);
    // As if added to zeros, whose sum with -0 is 0.
    auto flow = hn::Add(hn::Zero(d), hn::LoadU(d, c.dy + column));
    if (c.rectified) flow = hn::IfThenZeroElse(hn::Le(largest.best(), hn::Zero(d)), flow);
    T* dx = c.dx + 2 * column;
    for (int64_t line = 0; line < lines; ++line, dx += pitch) {
      store_pairs(d, largest.where(2 * line, flow), largest.where(2 * line + 1, flow), dx);
    }
  };
  for_each_whole_vector(d, p.columns.output, pairs);
  const int64_t covered = 2 * p.columns.output;
  for (int64_t line = 0; line < lines && covered < pitch; ++line) {
    T* rest = c.dx + line * pitch + covered;
    *rest = 0;
    if (covered + 1 < pitch) std::fill_n(rest + 1, pitch - covered - 1, T{0});
  }
}

template <int height, class D, typename T>
HWY_INLINE void gradient_of(D d, const PaddedPlane& p, MaxCotangents<T> c) {
  const int64_t step = lines_of<height>(p) * p.columns.input;
  const int64_t below = p.lines.input * p.columns.input - p.lines.output * step;
  for (int64_t plane = 0; plane < c.planes; ++plane) {
    for (int64_t line = 0; line < p.lines.output; ++line) {
      gradient_line<height>(d, p, c);
      c.x += step;
      c.dx += step;
      c.dy += p.columns.output;
    }
    std::fill_n(c.dx, below, T{0});
    c.x += below;
    c.dx += below;
  }
}

template <typename T>
void largest(const PaddedPlane& p, const T* x, T* y, int64_t planes) {
  with_vectors(hn::ScalableTag<T>(), p.columns.output, [&](auto d) HWY_ATTR {
    p.lines.kernel == 2 ? max_planes_of<2>(d, p, x, y, planes)
                        : max_planes_of<0>(d, p, x, y, planes);
  });
}

template <typename T>
void gradient(const PaddedPlane& p, const MaxCotangents<T>& c) {
  with_vectors(hn::ScalableTag<T>(), p.columns.output, [&](auto d) HWY_ATTR {
    p.lines.kernel == 2 ? gradient_of<2>(d, p, c) : gradient_of<0>(d, p, c);
  });
}

void largest_float(const PaddedPlane& p, const float* x, float* y, int64_t planes) {
  largest(p, x, y, planes);
}
void largest_double(const PaddedPlane& p, const double* x, double* y, int64_t planes) {
  largest(p, x, y, planes);
}
void gradient_float(const PaddedPlane& p, const MaxCotangents<float>& c) { gradient(p, c); }
void gradient_double(const PaddedPlane& p, const MaxCotangents<double>& c) { gradient(p, c); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(largest_float);
HWY_EXPORT(largest_double);
HWY_EXPORT(gradient_float);
HWY_EXPORT(gradient_double);

bool has_pairs(const PaddedPlane& p) {
  const PaddedPlane::Axis &l = p.lines, &c = p.columns;
  return p.is_inside() && c.kernel == 2 && c.stride == 2 && c.dilation == 1 &&
         l.stride == l.kernel && l.dilation == 1;
}

void max_pairs(const PaddedPlane& p, const float* x, float* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(largest_float)(p, x, y, planes);
}
void max_pairs(const PaddedPlane& p, const double* x, double* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(largest_double)(p, x, y, planes);
}
void pair_gradient(const PaddedPlane& p, const MaxCotangents<float>& c) {
  HWY_DYNAMIC_DISPATCH(gradient_float)(p, c);
}
void pair_gradient(const PaddedPlane& p, const MaxCotangents<double>& c) {
  HWY_DYNAMIC_DISPATCH(gradient_double)(p, c);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
