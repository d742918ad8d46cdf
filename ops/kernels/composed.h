// Operators that have no kernel of their own: they run what they decompose into.
#pragma once

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

// The kernel of an operator whose decompose() says everything: it is compiled into a plan of its
// own for the shapes that a run has, so decompose() may ask for ranks, and folds what is constant.
// infer() must make the outputs concrete for concrete inputs. Inputs and outputs are tensors.
class ComposedKernel {
 public:
  std::unique_ptr<KernelState> prepare(const Op& op, PrepareContext& c) const;
  void run(RunContext& c) const;
  // Without prepare(): where shapes of outputs depend on elements that infer() does not look at.
  void run_unprepared(const Op& op, RunContext& c) const;
};

// The base of operators that have nothing but this.
class ComposedOp : public Op {
 public:
  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return ComposedKernel().prepare(*this, c);
  }
  void run(RunContext& c) const override {
    c.is_prepared() ? ComposedKernel().run(c) : ComposedKernel().run_unprepared(*this, c);
  }

 protected:
  // For operators that have a kernel of their own for some inputs: what prepare() returned, if it
  // is a State; null where the decomposition is to run.
  template <typename State>
  static const State* own_state(const RunContext& c) {
    return c.is_prepared() ? dynamic_cast<const State*>(&c.state<KernelState>()) : nullptr;
  }
};

// Short forms of what decompositions and gradients are written in. Keeps a reference to the
// builder.
class Emit {
 public:
  explicit Emit(GraphBuilder& builder) : b(builder) {}

  GraphBuilder& b;

  ValueId operator()(std::string_view op, std::vector<ValueId> inputs,
                     Attributes attributes = {}) const {
    return b.add(op, std::move(inputs), std::move(attributes));
  }
  ValueId add(ValueId x, ValueId y) const { return b.add("Add", {x, y}); }
  ValueId sub(ValueId x, ValueId y) const { return b.add("Sub", {x, y}); }
  ValueId mul(ValueId x, ValueId y) const { return b.add("Mul", {x, y}); }
  ValueId div(ValueId x, ValueId y) const { return b.add("Div", {x, y}); }
  ValueId where(ValueId condition, ValueId x, ValueId y) const {
    return b.add("Where", {condition, x, y});
  }
  ValueId equal(ValueId x, ValueId y) const { return b.add("Equal", {x, y}); }
  ValueId matmul(ValueId x, ValueId y) const { return b.add("MatMul", {x, y}); }
  // The scalar `value` in the type of `like`.
  ValueId scalar(double value, ValueId like) const { return b.scalar_like(value, like); }
  ValueId concat(std::vector<ValueId> parts, int64_t axis = 0) const {
    return b.add("Concat", std::move(parts), {{"axis", axis}});
  }
  // Length of one axis (counted from the end if negative) as a list of one.
  ValueId dim(ValueId v, int64_t axis) const;
  // The lengths of all axes from `begin` to before `end`.
  ValueId dims(ValueId v, int64_t begin, int64_t end = INT64_MAX) const {
    return b.slice(b.shape_of(v), 0, begin, end);
  }
  // The product of a list, as a list of one.
  ValueId product(ValueId list) const {
    return b.add("ReduceProd", {list}, {{"keepdims", int64_t{1}}});
  }
  // 0, 1, ... to before `end`, a list of one.
  ValueId range(ValueId end) const {
    return b.add("Range", {b.int_scalar(0), b.squeeze(end, {0}), b.int_scalar(1)});
  }
  ValueId reduce(std::string_view op, ValueId v, std::vector<int64_t> axes, bool keepdims) const {
    return b.add(op, {v, b.ints(std::move(axes))}, {{"keepdims", int64_t{keepdims}}});
  }
  // `value` everywhere in a tensor whose shape is a list.
  ValueId fill(double value, DType dtype, ValueId shape) const;
};

}  // namespace onnxrun
