#include "kernels/double_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/double_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// As reduce_row() has them.
constexpr int64_t interleaved = 8, block = 2048;

template <class D, typename T>
HWY_INLINE hn::Vec<D> load_doubles(D d, const T* x) {
  if constexpr (std::is_same_v<T, double>) return hn::LoadU(d, x);
  if constexpr (std::is_same_v<T, float>) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), x));
  }
}

// Eight partial sums, then `count` < 8 elements more, into one.
template <typename T>
HWY_INLINE double merged(double* sums, const T* rest, int64_t count) {
  for (int64_t k = 0; k < count; ++k) sums[k] += static_cast<double>(rest[k]);
  for (int64_t width = interleaved / 2; width > 0; width /= 2) {
    for (int64_t k = 0; k < width; ++k) sums[k] += sums[k + width];
  }
  return sums[0];
}

// R rows at once: one sum waits for each of its additions.
template <int R, typename T>
HWY_INLINE void sum_rows(const T* const* rows, int64_t n, double* sums) {
  const hn::CappedTag<double, interleaved> d;
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(hn::CappedTag<double, interleaved>()));
  constexpr int64_t vectors = interleaved / lanes;
  for (int r = 0; r < R; ++r) sums[r] = 0;
  for (int64_t start = 0; start < n; start += block) {
    const int64_t end = HWY_MIN(n, start + block), whole = end - (end - start) % interleaved;
    hn::Vec<decltype(d)> partial[R][vectors];
    for (int r = 0; r < R; ++r) {
      for (int64_t v = 0; v < vectors; ++v) partial[r][v] = hn::Zero(d);
    }
    for (int64_t i = start; i < whole; i += interleaved) {
      for (int r = 0; r < R; ++r) {
        for (int64_t v = 0; v < vectors; ++v) {
          partial[r][v] = hn::Add(partial[r][v], load_doubles(d, rows[r] + i + v * lanes));
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      HWY_ALIGN double parts[interleaved];
      for (int64_t v = 0; v < vectors; ++v) hn::Store(partial[r][v], d, parts + v * lanes);
      sums[r] += merged(parts, rows[r] + whole, end - whole);
    }
  }
}

template <typename T>
void sums_of(const T* const* rows, int64_t count, int64_t n, double* sums) {
  if (n < 2 * interleaved) {
    for (int64_t r = 0; r < count; ++r) {
      sums[r] = 0;
      for (int64_t i = 0; i < n; ++i) sums[r] += static_cast<double>(rows[r][i]);
    }
    return;
  }
  constexpr int together = 4;
  int64_t r = 0;
  for (; r + together <= count; r += together) sum_rows<together>(rows + r, n, sums + r);
  for (; r < count; ++r) sum_rows<1>(rows + r, n, sums + r);
}

void sums_of_floats(const float* const* rows, int64_t count, int64_t n, double* sums) {
  sums_of(rows, count, n, sums);
}
void sums_of_doubles(const double* const* rows, int64_t count, int64_t n, double* sums) {
  sums_of(rows, count, n, sums);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(sums_of_floats);
HWY_EXPORT(sums_of_doubles);

void sums_in_double(const float* const* rows, int64_t count, int64_t n, double* sums) {
  HWY_DYNAMIC_DISPATCH(sums_of_floats)(rows, count, n, sums);
}
void sums_in_double(const double* const* rows, int64_t count, int64_t n, double* sums) {
  HWY_DYNAMIC_DISPATCH(sums_of_doubles)(rows, count, n, sums);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
