// Columns of rows as vectors; included once for every instruction set.
#if defined(ONNXRUN_TRANSPOSE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_TRANSPOSE_INL
#undef ONNXRUN_TRANSPOSE_INL
#else
#define ONNXRUN_TRANSPOSE_INL
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// How many columns transpose_columns() takes at a time: the elements of a 128-bit block.
#if HWY_TARGET == HWY_SCALAR
template <typename T>
constexpr int block_lanes = 1;
#else
template <typename T>
constexpr int block_lanes = 16 / sizeof(T);
#endif

// Block t of the vector is the `count` elements from rows[stride * t] + offset, a whole block of
// them unless `partial`.
template <bool partial, class D, typename T>
HWY_INLINE hn::Vec<D> load_blocks(D d, const T* const* rows, int stride, int64_t offset,
                                  size_t count) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (static_cast<int>(hn::MaxLanes(D())) > block_lanes<T>) {
    const hn::Half<D> half;
    constexpr int blocks = static_cast<int>(hn::MaxLanes(D())) / block_lanes<T>;
    return hn::Combine(
        d, load_blocks<partial>(half, rows + blocks / 2 * stride, stride, offset, count),
        load_blocks<partial>(half, rows, stride, offset, count));
  } else  // NOLINT: the branches of one statement
#endif
  {
    (void)stride;
    if constexpr (partial) return load_first(d, rows[0] + offset, count);
    return hn::LoadU(d, rows[0] + offset);
  }
}

// out[q] lane j = rows[j][offset + q] for q < count (block_lanes unless `partial`).
template <bool partial, class D, typename T>
HWY_INLINE void transpose_columns(D d, const T* const* rows, int64_t offset, size_t count,
                                  hn::Vec<D>* out) {
  constexpr int size = block_lanes<T>;
  hn::Vec<D> in[size];
  for (int r = 0; r < size; ++r) in[r] = load_blocks<partial>(d, rows + r, size, offset, count);
#if HWY_TARGET == HWY_SCALAR
  out[0] = in[0];
  (void)d;
#else
  if constexpr (size == 2) {
    out[0] = hn::InterleaveLower(d, in[0], in[1]);
    out[1] = hn::InterleaveUpper(d, in[0], in[1]);
  } else {
    const hn::RepartitionToWide<hn::RebindToUnsigned<D> > pairs;
    auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, in[0], in[1]));
    auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, in[2], in[3]));
    auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, in[0], in[1]));
    auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, in[2], in[3]));
    out[0] = hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23));
    out[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23));
    out[2] = hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23));
    out[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23));
  }
#endif
}

// The first elements of V vectors' worth of rows; the last of `n` rows stands in for missing ones.
template <typename T, size_t N>
HWY_INLINE void set_rows(const T* first, int64_t row_step, int64_t n, const T* (&rows)[N]) {
  for (size_t j = 0; j < N; ++j) {
    rows[j] = first + HWY_MIN(static_cast<int64_t>(j), n - 1) * row_step;
  }
}

// Calls f(p, v, x) with x = column p of the transposed rows of vector v, for p in [0, k) in order.
template <int V, typename T, class F>
HWY_INLINE void for_each_column(const T* first, int64_t row_step, int64_t n, int64_t k,
                                const F& f) {
  const hn::ScalableTag<T> d;
  constexpr int lanes = static_cast<int>(hn::MaxLanes(hn::ScalableTag<T>()));
  constexpr int size = block_lanes<T>;
  const T* rows[static_cast<size_t>(V * lanes)];
  set_rows(first, row_step, n, rows);
  hn::Vec<decltype(d)> x[size];
  int64_t p = 0;
  for (; p + size <= k; p += size) {
    for (int v = 0; v < V; ++v) {
      transpose_columns<false>(d, rows + v * lanes, p, size, x);
      for (int q = 0; q < size; ++q) f(p + q, v, x[q]);
    }
  }
  if (p == k) return;
  for (int v = 0; v < V; ++v) {
    transpose_columns<true>(d, rows + v * lanes, p, static_cast<size_t>(k - p), x);
    for (int q = 0; q < k - p; ++q) f(p + q, v, x[q]);
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
