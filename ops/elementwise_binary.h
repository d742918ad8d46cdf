// The family of elementwise operators of two broadcast inputs.
#pragma once

#include <algorithm>

#include "emit/binary_broadcast.h"
#include "expression_state.h"
#include "graph/element_function.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/broadcast.h"

namespace onnxrun {

// The strides of a node's broadcast inputs, worked out once.
struct BinaryRows final : KernelState {
  BroadcastRows<2> rows;
};

// One row of binary_loop().
template <typename A, typename B, typename R, typename F>
[[gnu::flatten]] void binary_row(const A* x, int64_t x_step, const B* y, int64_t y_step, R* z,
                                 int64_t n, const F& f) {
  using CA = ComputeType<A>;
  using CB = ComputeType<B>;
  if (x_step == 0) {
    const CA first = static_cast<CA>(*x);
    for (int64_t i = 0; i < n; ++i) z[i] = static_cast<R>(f(first, static_cast<CB>(y[i])));
  } else if (y_step == 0) {
    const CB second = static_cast<CB>(*y);
    for (int64_t i = 0; i < n; ++i) z[i] = static_cast<R>(f(static_cast<CA>(x[i]), second));
  } else {
    for (int64_t i = 0; i < n; ++i) {
      z[i] = static_cast<R>(f(static_cast<CA>(x[i]), static_cast<CB>(y[i])));
    }
  }
}

// Applies f(a, b) to all pairs. A and R are the elements' types; arithmetic runs in ComputeType<A>.
template <typename A, typename B, typename R, typename F>
void binary_loop(const BroadcastRows<2>& rows, const A* a, const B* b, R* out, const F& f) {
  rows.for_each([&](int64_t at, const std::array<int64_t, 2>& in, int64_t n) {
    binary_row(a + in[0], rows.step(0), b + in[1], rows.step(1), out + at, n, f);
  });
}

// Sets the output's symbolic elements where both inputs' are known: f(a, b) of every pair.
template <typename F>
void infer_binary_content(InferContext& c, const F& f) {
  auto a = c.content(0), b = c.content(1);
  if (!a || !b || a->empty() || b->empty()) return;
  const size_t n = std::max(a->size(), b->size());
  if ((a->size() != n && a->size() != 1) || (b->size() != n && b->size() != 1)) return;
  std::vector<Dim> result;
  for (size_t i = 0; i < n; ++i) {
    result.push_back(f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  }
  c.set_content(0, std::move(result));
}

// Shapes, strides and in-place rules of every member of the family. Those that are Elementwise have
// an ExpressionState for float and double, and BinaryRows else.
class BinaryOp : public Op {
 public:
  void infer(InferContext& c) const override { infer_broadcast(c, c.dtype(0)); }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const auto* function = dynamic_cast<const Elementwise*>(this);
    if (function && dtypes::f32_f64.contains(c.input(0).dtype())) {
      return prepare_expression(c, call_of(function->element_function()), c.output(0).dims(),
                                c.input(0).dtype());
    }
    auto state = std::make_unique<BinaryRows>();
    state->rows = BroadcastRows<2>(c.output(0).dims(), {c.input(0).dims(), c.input(1).dims()});
    return state;
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}, {1, 0}}, .elementwise = true}; }
};

}  // namespace onnxrun
