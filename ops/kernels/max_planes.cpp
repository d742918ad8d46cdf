#include "kernels/max_planes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max_planes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <type_traits>

#include "kernels/padded_plane-inl.h"
#include "kernels/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// x[0], x[step] ... of the first `count` lanes.
template <int step, class D, typename T>
HWY_INLINE hn::Vec<D> load_steps(D d, const T* x, int64_t count, int64_t any_step) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if constexpr (step == 1) {
    return count >= lanes ? hn::LoadU(d, x) : load_first(d, x, static_cast<size_t>(count));
  }
#if HWY_TARGET != HWY_SCALAR
  if constexpr (step == 2) {
    const int64_t there = 2 * count - 1;
    const auto low =
        there >= lanes ? hn::LoadU(d, x) : load_first(d, x, static_cast<size_t>(there));
    if (there <= lanes) return hn::ConcatEven(d, hn::Zero(d), low);
    const int64_t behind = HWY_MIN(lanes, there - lanes);
    return hn::ConcatEven(d, load_first(d, x + lanes, static_cast<size_t>(behind)), low);
  }
#endif
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)] = {};
  for (int64_t i = 0; i < HWY_MIN(lanes, count); ++i) values[i] = x[i * any_step];
  return hn::Load(d, values);
}

// A position in a plane, as wide as T.
template <typename T>
using Position = hn::TFromD<hn::RebindToSigned<hn::ScalableTag<T>>>;

// Where results go: the largest elements, or where in the plane they lie, the first of equals.
template <typename T>
struct Values {
  T* y;
};
template <typename T>
struct Places {
  Position<T>* y;
};

template <class D>
HWY_INLINE hn::Mask<D> exceeds(D, hn::Vec<D> v, hn::Vec<D> best) {
  return hn::Or(hn::Gt(v, best), hn::Not(hn::Eq(v, v)));
}

template <class D, typename T>
HWY_INLINE void store(D d, hn::Vec<D> v, T* y, int64_t left) {
  if (left >= static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, y);
  } else {
    store_first(d, v, y, static_cast<size_t>(left));
  }
}

// Windows number `line` along the first axis; the first one begins at x, and lines of x are `pitch`
// apart.
template <int step, typename T, class Result>
HWY_INLINE void max_line(const PaddedPlane& p, const T* x, int64_t pitch, int64_t line,
                         const Result& result) {
  constexpr bool wants_places = std::is_same_v<Result, Places<T>>;
  using I = Position<T>;
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto& c = p.columns;
  HWY_ALIGN I steps[HWY_MAX_BYTES / sizeof(I)];
  for (int64_t i = 0; i < lanes; ++i) steps[i] = static_cast<I>(i * c.stride);
  const auto apart = hn::Load(di, steps);
  for (int64_t column = 0; column < c.output; column += lanes) {
    const int64_t left = c.output - column;
    auto best = hn::Set(d, -std::numeric_limits<T>::infinity());
    auto place = hn::Set(di, I{-1});
    for (int64_t i = 0; i < p.lines.kernel; ++i) {
      const T* from = x + i * p.lines.dilation * pitch + column * c.stride;
      const int64_t at = line * p.lines.stride + i * p.lines.dilation - p.lines.pad;
      for (int64_t k = 0; k < c.kernel; ++k) {
        const auto v = load_steps<step>(d, from + k * c.dilation, left, c.stride);
        const auto wins = exceeds(d, v, best);
        best = hn::IfThenElse(wins, v, best);
        if constexpr (wants_places) {
          const int64_t first = at * c.input + column * c.stride + k * c.dilation - c.pad;
          const auto here = hn::Add(hn::Set(di, static_cast<I>(first)), apart);
          place = hn::IfThenElse(hn::RebindMask(di, wins), here, place);
        }
      }
    }
    if constexpr (wants_places) {
      store(di, place, result.y + column, left);
    } else {
      store(d, best, result.y + column, left);
    }
  }
}

template <int step, typename T, class Result>
void max_plane_of(const PaddedPlane& p, const T* plane, int64_t pitch, Result result) {
  for (int64_t line = 0; line < p.lines.output; ++line, result.y += p.columns.output) {
    max_line<step>(p, plane + line * p.lines.stride * pitch, pitch, line, result);
  }
}

template <typename T, class Result>
void max_all(const PaddedPlane& p, const T* x, Result result, int64_t planes) {
  const int64_t in = p.lines.input * p.columns.input, out = p.lines.output * p.columns.output;
  std::optional<Scratch> scratch;
  T* padded = nullptr;
  if (!p.is_inside()) {
    scratch.emplace(static_cast<size_t>(p.size()) * sizeof(T));
    padded = scratch->template as<T>();
    std::fill_n(padded, p.size(), -std::numeric_limits<T>::infinity());
  }
  for (int64_t i = 0; i < planes; ++i, x += in, result.y += out) {
    if (padded) fill_plane(p, x, padded);
    const T* plane = padded ? padded + p.margin : x;
    const int64_t pitch = padded ? p.pitch : p.columns.input;
    switch (p.columns.stride) {
      case 1:
        max_plane_of<1>(p, plane, pitch, result);
        break;
      case 2:
        max_plane_of<2>(p, plane, pitch, result);
        break;
      default:
        max_plane_of<0>(p, plane, pitch, result);
    }
  }
}

template <typename T>
using ByteBlock = hn::CappedTag<T, 16>;
// Bytes behind a line that whole blocks may touch.
constexpr int64_t line_slack = 32;

// to[i] = max(to[i], from[i]), some of them twice.
template <typename T>
HWY_INLINE void raise_line(const T* from, int64_t n, T* to) {
  const ByteBlock<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto raise = [&](int64_t i) HWY_ATTR {
    hn::StoreU(hn::Max(hn::LoadU(d, from + i), hn::LoadU(d, to + i)), d, to + i);
  };
  for (int64_t i = 0; i + lanes <= n; i += lanes) raise(i);
  if (n >= lanes) return raise(n - lanes);
  for (int64_t i = 0; i < n; ++i) to[i] = HWY_MAX(to[i], from[i]);
}

// y[o] = from[o * stride]; whole blocks of both may be touched.
template <typename T>
HWY_INLINE void pick(const T* from, int64_t stride, int64_t n, T* y) {
  int64_t o = 0;
#if HWY_TARGET != HWY_SCALAR
  if (stride == 2) {
    const hn::FixedTag<int16_t, 8> d16;
    const hn::FixedTag<T, 8> d;
    for (; o < n; o += 8) {
      const auto pairs = hn::LoadU(d16, reinterpret_cast<const int16_t*>(from + 2 * o));
      if constexpr (std::is_signed_v<T>) {
        hn::StoreU(hn::DemoteTo(d, hn::ShiftRight<8>(hn::ShiftLeft<8>(pairs))), d, y + o);
      } else {
        hn::StoreU(hn::DemoteTo(d, hn::And(pairs, hn::Set(d16, int16_t{0xff}))), d, y + o);
      }
    }
  }
#endif
  for (; o < n; ++o) y[o] = from[o * stride];
}

// Lines of which windows are made: those of the image, or their largest elements, padded.
template <typename T>
struct WindowLines {
  const T* first;
  int64_t count, step;
};

// The largest of a window at each of the first `starts` columns; whole blocks are read and written.
template <typename T>
HWY_INLINE void max_windows(const WindowLines<T>& lines, const PaddedPlane::Axis& c, int64_t starts,
                            T* windows) {
  const ByteBlock<T> d;
  for (int64_t j = 0; j < starts; j += static_cast<int64_t>(hn::Lanes(d))) {
    auto best = hn::LoadU(d, lines.first + j);
    for (int64_t i = 0; i < lines.count; ++i) {
      const T* from = lines.first + i * lines.step + j;
      for (int64_t k = 0; k < c.kernel; ++k) {
        best = hn::Max(best, hn::LoadU(d, from + k * c.dilation));
      }
    }
    hn::StoreU(best, d, windows + j);
  }
}

template <typename T>
void max_bytes(const PaddedPlane& p, const T* x, T* y, int64_t planes) {
  const PaddedPlane::Axis &l = p.lines, &c = p.columns;
  const T* end = x + planes * l.input * c.input;
  const int64_t starts = (c.output - 1) * c.stride + 1;
  const int64_t reach = HWY_MAX(c.reach(), c.pad + c.input) + line_slack;
  Scratch scratch(static_cast<size_t>(2 * reach + c.output + line_slack));
  T *line = scratch.as<T>(), *windows = line + reach, *picked = windows + reach;
  for (int64_t o = 0; o < planes * l.output; ++o, y += c.output) {
    const T* plane = x + o / l.output * l.input * c.input;
    const int64_t first = o % l.output * l.stride - l.pad;
    WindowLines<T> lines{line, 1, 0};
    const int64_t touched =
        ((l.kernel - 1) * l.dilation + first) * c.input + c.reach() + line_slack;
    if (p.is_inside() && touched <= end - plane) {
      lines = {plane + first * c.input, l.kernel, l.dilation * c.input};
    } else {
      std::fill_n(line, reach, std::numeric_limits<T>::lowest());
      for (int64_t i = 0; i < l.kernel; ++i) {
        const int64_t at = first + i * l.dilation;
        if (at >= 0 && at < l.input) raise_line(plane + at * c.input, c.input, line + c.pad);
      }
    }
    max_windows(lines, c, starts, windows);
    pick(windows, c.stride, c.output, picked);
    std::copy_n(picked, c.output, y);
  }
}

void max_signed(const PaddedPlane& p, const int8_t* x, int8_t* y, int64_t planes) {
  max_bytes(p, x, y, planes);
}
void max_unsigned(const PaddedPlane& p, const uint8_t* x, uint8_t* y, int64_t planes) {
  max_bytes(p, x, y, planes);
}
void max_float(const PaddedPlane& p, const float* x, float* y, int64_t planes) {
  max_all(p, x, Values<float>{y}, planes);
}
void max_double(const PaddedPlane& p, const double* x, double* y, int64_t planes) {
  max_all(p, x, Values<double>{y}, planes);
}
void places_float(const PaddedPlane& p, const float* x, int32_t* at, int64_t planes) {
  max_all(p, x, Places<float>{at}, planes);
}
void places_double(const PaddedPlane& p, const double* x, int64_t* at, int64_t planes) {
  max_all(p, x, Places<double>{at}, planes);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(max_signed);
HWY_EXPORT(max_unsigned);
HWY_EXPORT(max_float);
HWY_EXPORT(max_double);
HWY_EXPORT(places_float);
HWY_EXPORT(places_double);

void max_planes(const PaddedPlane& p, const float* x, float* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(max_float)(p, x, y, planes);
}
void max_planes(const PaddedPlane& p, const double* x, double* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(max_double)(p, x, y, planes);
}

void max_planes(const PaddedPlane& p, const int8_t* x, int8_t* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(max_signed)(p, x, y, planes);
}
void max_planes(const PaddedPlane& p, const uint8_t* x, uint8_t* y, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(max_unsigned)(p, x, y, planes);
}

void max_places(const PaddedPlane& p, const float* x, int32_t* at, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(places_float)(p, x, at, planes);
}
void max_places(const PaddedPlane& p, const double* x, int64_t* at, int64_t planes) {
  HWY_DYNAMIC_DISPATCH(places_double)(p, x, at, planes);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
