#include "kernels/transposition.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/transposition.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

void transpose_tile(const void* from, int64_t from_step, void* to, int64_t to_step, int64_t rows,
                    int64_t columns) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  // Rows of the result whose cache lines are there for the next vector of columns.
  constexpr int64_t together = 32;
  const auto* in = static_cast<const float*>(from);
  auto* out = static_cast<float*>(to);
  for (int64_t row = 0; row < rows; row += together) {
    for (int64_t j = 0; j < columns; j += lanes) {
      const int64_t count = HWY_MIN(lanes, columns - j);
      float* first = out + row * to_step + j;
      for_each_column<1>(in + j * from_step + row, from_step, count, HWY_MIN(together, rows - row),
                         [&](int64_t m, int, hn::Vec<decltype(d)> x) HWY_ATTR {
                           float* y = first + m * to_step;
                           if (count == lanes) return hn::StoreU(x, d, y);
                           store_first(d, x, y, static_cast<size_t>(count));
                         });
    }
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(transpose_tile);

void transpose_words(const void* from, int64_t from_step, void* to, int64_t to_step, int64_t rows,
                     int64_t columns) {
  HWY_DYNAMIC_DISPATCH(transpose_tile)(from, from_step, to, to_step, rows, columns);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
