// The family of operators that normalise rows of neighbouring elements.
#pragma once

#include <optional>

#include "graph/run_context.h"
#include "kernels/broadcast.h"
#include "kernels/compute_buffers.h"
#include "kernels/normalize.h"
#include "kernels/scratch.h"

namespace onnxrun {

// How a scale or bias lies over the rows: the numbers of RowFactor.
struct FactorLayout {
  int64_t rows = 1, row_step = 0, span = 1;
  // Set if the factor must be repeated to the input's shape first.
  std::optional<BroadcastRows<1>> repeat;
};

// The input as [rows, length].
struct RowState final : KernelState {
  int64_t rows = 0, length = 0;
  FactorLayout scale, bias;
};

// A factor's elements, repeated if its layout says so.
template <typename T>
class Factor {
 public:
  using C = ComputeType<T>;

  Factor(const Tensor* t, const FactorLayout& layout, int64_t size) : values_(t) {
    row_ = {values_.data(), layout.rows, layout.row_step, layout.span};
    if (!t || !layout.repeat) return;
    repeated_.emplace(static_cast<size_t>(size) * sizeof(C));
    C* to = repeated_->template as<C>();
    int64_t step = layout.repeat->step(0);
    layout.repeat->for_each([&](int64_t at, const std::array<int64_t, 1>& from, int64_t n) {
      for (int64_t i = 0; i < n; ++i) to[at + i] = values_.data()[from[0] + i * step];
    });
    row_.data = to;
  }
  const RowFactor<C>& row() const { return row_; }

 private:
  ComputeInput<T> values_;
  std::optional<Scratch> repeated_;
  RowFactor<C> row_;
};

// result = x / sqrt(mean(x^2) + epsilon) of every row of input 0, with `centred` of x - mean(x),
// times scale, plus bias if there is an input 2. Outputs 1 and 2, where they are wanted, get each
// row's mean and 1 / sqrt(...). Rows run in parallel.
template <typename T>
void normalize_rows(const RunContext& c, const RowState& s, double epsilon, bool centred,
                    const Tensor& scale_tensor, Tensor& result) {
  using C = ComputeType<T>;
  ComputeInput<T> x(c.input(0));
  int64_t size = s.rows * s.length;
  Factor<T> scale(&scale_tensor, s.scale, size),
      bias(c.has_input(2) ? &c.input(2) : nullptr, s.bias, size);
  ComputeOutput<T> y(result);
  auto put = [&](size_t output, int64_t row, double v) {
    if (!c.has_output(output)) return;
    dispatch_float(c.output(output).dtype(), [&]<typename U>() {
      c.output(output).data<U>()[row] = static_cast<U>(static_cast<ComputeType<U>>(v));
    });
  };
  for_each_row(s.rows, s.length, [&](int64_t r) {
    const C* in = x.data() + r * s.length;
    C* out = y.data() + r * s.length;
    Moments m;
    if (centred) {
      m = moments_of(in, s.length);
    } else {
      m.variance = lane_sum<C>(s.length, [&](int64_t i) { return in[i] * in[i]; }) /
                   static_cast<double>(s.length);
    }
    double inverse = 1 / std::sqrt(m.variance + epsilon);
    ScaledRow<C> row = {static_cast<C>(m.mean), static_cast<C>(inverse), scale.row().dense_at(r),
                        nullptr};
    const bool scales_alike = scale.row().data && !row.scale;
    if (!scales_alike) row.bias = bias.row().dense_at(r);
    normalize_row(row, in, s.length, out);
    scale_row(row.scale ? RowFactor<C>() : scale.row(), row.bias ? RowFactor<C>() : bias.row(), r,
              s.length, out);
    put(1, r, m.mean);
    put(2, r, inverse);
  });
  y.store();
}

// The same for the type of `y`, with the state that the node has prepared.
inline void normalize_rows(const RunContext& c, double epsilon, bool centred, const Tensor& scale,
                           Tensor& y) {
  dispatch_float(y.dtype(), [&]<typename T>() {
    normalize_rows<T>(c, c.state<RowState>(), epsilon, centred, scale, y);
  });
}

}  // namespace onnxrun
