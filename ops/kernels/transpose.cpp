#include "kernels/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/transpose.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// As many rows as a vector has lanes become as many columns at a time.
template <typename T>
void transpose_all(const std::byte* from, int64_t from_step, int64_t rows, int64_t columns,
                   std::byte* to, int64_t to_step) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* in = reinterpret_cast<const T*>(from);
  auto* out = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < rows; i += lanes) {
    const int64_t count = HWY_MIN(lanes, rows - i);
    for_each_column<1>(in + i * from_step, from_step, count, columns,
                       [&](int64_t j, int, hn::Vec<decltype(d)> x) HWY_ATTR {
                         T* at = out + j * to_step + i;
                         if (count == lanes) {
                           hn::StoreU(x, d, at);
                         } else {
                           store_first(d, x, at, static_cast<size_t>(count));
                         }
                       });
  }
}

void transpose_words(const std::byte* from, int64_t from_step, int64_t rows, int64_t columns,
                     size_t width, std::byte* to, int64_t to_step) {
  if (width == 4) {
    transpose_all<float>(from, from_step, rows, columns, to, to_step);
  } else {
    transpose_all<double>(from, from_step, rows, columns, to, to_step);
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(transpose_words);

void transpose(const std::byte* from, int64_t from_step, int64_t rows, int64_t columns,
               size_t width, std::byte* to, int64_t to_step) {
  HWY_DYNAMIC_DISPATCH(transpose_words)(from, from_step, rows, columns, width, to, to_step);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
