#include "kernels/pooling.h"

namespace onnxrun {

static double count_on_axis(const Window& w, size_t axis, int64_t output, bool include_pad) {
  int64_t first = include_pad ? -w.pads[axis] : 0;
  int64_t end = w.input[axis] + (include_pad ? w.pads_end[axis] : 0);
  int64_t start = output * w.strides[axis] - w.pads[axis], step = w.dilations[axis];
  auto taps_before = [&](int64_t position) {
    return std::clamp<int64_t>((position - start + step - 1) / step, 0, w.kernel[axis]);
  };
  return static_cast<double>(taps_before(std::max(end, start)) -
                             taps_before(std::max(first, start)));
}

std::vector<double> window_counts(const Window& w, bool include_pad) {
  std::vector<double> counts = {1};
  for (size_t axis = 0; axis < w.rank(); ++axis) {
    std::vector<double> product;
    product.reserve(counts.size() * static_cast<size_t>(w.output[axis]));
    for (double outer : counts) {
      for (int64_t o = 0; o < w.output[axis]; ++o) {
        product.push_back(outer * count_on_axis(w, axis, o, include_pad));
      }
    }
    counts = std::move(product);
  }
  return counts;
}

}  // namespace onnxrun
