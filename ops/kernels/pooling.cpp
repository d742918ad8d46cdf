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

// A walk of more steps costs little beside the work of a plane.
constexpr int64_t most_kept = 1 << 12;

PlaneWalk::PlaneWalk(Window w) : window_(std::move(w)) {
  int64_t size = window_.output_size();
  if (size == 0) return;
  int64_t taps = window_.kernel_size(), lines = size / window_.output.back();
  is_kept_ = taps <= most_kept && taps * lines <= most_kept;
  if (!is_kept_) return;
  for_each_stretch(window_, 1, 0, size, [&](const Stretch& s) {
    if (s.inside > 0) kept_.push_back(s);
  });
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
