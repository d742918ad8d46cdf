// Transpose.
#include <numeric>

#include "graph/gradient_context.h"
#include "graph/matrix_product.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class Transpose final : public Op, public WorksOnLevels, public OrdersAxes {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("perm", perm_, "axis i of the output is axis perm[i] of the input; reversed if absent");
  }

  std::vector<int64_t> axis_order(size_t rank) const override {
    if (perm_) return *perm_;
    std::vector<int64_t> reversed(rank);
    std::iota(reversed.rbegin(), reversed.rend(), 0);
    return reversed;
  }

  void infer(InferContext& c) const override {
    const Shape* in = c.shape(0);
    if (!in && !perm_) return c.set_output(0, c.dtype(0));
    if (!in) return c.set_output(0, c.dtype(0), Shape(perm_->size()));
    std::vector<int64_t> perm = axis_order(in->size());
    std::vector<bool> seen(in->size(), false);
    bool valid = perm.size() == in->size();
    for (int64_t axis : perm) {
      valid = valid && axis >= 0 && axis < c.rank(0) && !seen[static_cast<size_t>(axis)];
      if (valid) seen[static_cast<size_t>(axis)] = true;
    }
    if (!valid)
      c.reject("perm {} is no permutation of the axes of {}", to_string(perm), c.describe_input(0));
    Shape out;
    for (int64_t axis : perm) out.push_back((*in)[static_cast<size_t>(axis)]);
    set_output_with_content(c, c.dtype(0), std::move(out));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<State>();
    std::vector<int64_t> in = dense_strides(c.input(0).dims()), strides;
    for (int64_t axis : axis_order(in.size())) strides.push_back(in[static_cast<size_t>(axis)]);
    state->copy = StridedCopy(c.output(0).dims(), strides, dense_strides(c.output(0).dims()));
    return state;
  }

  void run(RunContext& c) const override {
    const StridedCopy& copy = c.state<State>().copy;
    move_elements(c.input(0), c.output(0), [&](const auto* in, auto* out) { copy.run(in, out); });
  }

  // The inverse permutation; the reversal is its own.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    if (!perm_) return g.set(0, g.add("Transpose", {g.grad(0)}));
    std::vector<int64_t> inverse(perm_->size());
    for (size_t i = 0; i < perm_->size(); ++i) {
      inverse[static_cast<size_t>((*perm_)[i])] = static_cast<int64_t>(i);
    }
    g.set(0, g.builder().transpose(g.grad(0), std::move(inverse)));
  }

 private:
  struct State final : KernelState {
    StridedCopy copy;
  };

  std::optional<std::vector<int64_t>> perm_;
};

}  // namespace

void register_transpose(OpRegistry& r) {
  r.add<Transpose>({.name = "Transpose",
                    .doc = "the axes in another order",
                    .since = {1, 13, 21, 23, 24, 25},
                    .inputs = {{"data", "T"}},
                    .outputs = {{"transposed", "T"}},
                    .types = {{"T", dtypes::all}},
                    .kind = OpKind::Move});
}

}  // namespace onnxrun
