// Fills padded planes; included once for every instruction set.
#if defined(ONNXRUN_PADDED_PLANE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_PADDED_PLANE_INL
#undef ONNXRUN_PADDED_PLANE_INL
#else
#define ONNXRUN_PADDED_PLANE_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/padded_plane.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// Copies the lines of x that windows reach into the plane; what is padding there stays.
template <typename T>
HWY_INLINE void fill_plane(const PaddedPlane& p, const T* x, T* plane) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t first = HWY_MAX(0, -p.columns.pad), to = p.margin + p.columns.pad + first;
  const int64_t count = HWY_MIN(p.columns.input - first, p.pitch - to);
  for (int64_t line = HWY_MAX(0, -p.lines.pad); line < p.lines.input; ++line) {
    if (line + p.lines.pad >= p.height) return;
    const T* from = x + line * p.columns.input + first;
    T* y = plane + (line + p.lines.pad) * p.pitch + to;
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::LoadU(d, from + i), d, y + i);
    if (i >= count) continue;
    const auto rest = static_cast<size_t>(count - i);
    store_first(d, load_first(d, from + i, rest), y + i, rest);
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
