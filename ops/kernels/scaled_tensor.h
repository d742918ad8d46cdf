// Tensors of bytes and floats with scales and zero points: one for all elements, or one for each
// place of an axis.
#pragma once

#include "base/threads.h"
#include "graph/run_context.h"
#include "kernels/byte_matmul.h"
#include "kernels/linear_quantization.h"

namespace onnxrun {

class ScaledTensor final : public KernelState {
 public:
  ScaledTensor(const Dims& x, int64_t scales, int64_t axis) : size_(element_count(x)) {
    if (scales == 1 || size_ == 0) return;
    const auto at = static_cast<size_t>(x.size() == 1 ? 0 : axis);
    places_ = x[at];
    inner_ = element_count(Dims(x.begin() + static_cast<int64_t>(at) + 1, x.end()));
  }

  // Calls f(scale, begin, end) for parts of the tensor, in parallel. `zero` may be null.
  template <typename F>
  void for_each_part(const Tensor& scale, const Tensor* zero, bool is_signed, const F& f) const {
    const auto* scales = scale.data<float>();
    const ZeroPoints points = zero_points(zero, 0);
    LinearScale s{.scale = scales[0], .zero_point = points.at(0), .is_signed = is_signed};
    if (places_ == 1) {
      return parallel_for(size_, grain, [&](int64_t begin, int64_t end) { f(s, begin, end); });
    }
    if (inner_ == 1) {
      s.scales = scales;
      s.zero_points = points.list(0);
    }
    const int64_t row = inner_ == 1 ? places_ : inner_;
    parallel_for(size_ / row, std::max<int64_t>(1, grain / row), [&](int64_t begin, int64_t end) {
      LinearScale here = s;
      for (int64_t i = begin; i < end; ++i) {
        if (inner_ != 1) {
          here.scale = scales[i % places_];
          here.zero_point = points.at(i % places_);
        }
        f(here, i * row, (i + 1) * row);
      }
    });
  }

 private:
  static constexpr int64_t grain = 1 << 16;  // elements that are worth a piece of a parallel loop

  int64_t size_, places_ = 1, inner_ = 1;
};

}  // namespace onnxrun
