#include "kernels/composed.h"

#include "builtin_ops.h"
#include "passes/lower.h"
#include "plan/execution.h"

namespace onnxrun {

namespace {

struct ComposedState final : KernelState {
  std::shared_ptr<const Plan> plan;
  std::vector<size_t> inputs;   // of the operator, in the order of the plan's
  std::vector<size_t> outputs;  // likewise
};

// Context is that of prepare() or of run(); `constant` gives an input's elements where they are the
// same in every run. Machine passes are worth their time for what runs again and again.
template <typename Context, typename Constant>
std::unique_ptr<ComposedState> compile(const Op& op, const Context& c, const Constant& constant,
                                       bool optimize, const PlanOptions& options) {
  auto state = std::make_unique<ComposedState>();
  Graph graph(builtin_ops());
  Node node;
  std::vector<Type> types;
  for (size_t i = 0; i < c.num_inputs(); ++i) {
    std::string name = "in" + std::to_string(i);
    if (!c.has_input(i)) {
      node.inputs.push_back(no_value);
    } else if (const Tensor* elements = constant(i)) {
      node.inputs.push_back(graph.add_initializer(name, *elements));
    } else {
      const Tensor& t = c.input(i);
      types.push_back(Type::tensor(t.dtype(), to_shape(t.dims())));
      node.inputs.push_back(graph.add_input(name, types.back()));
      state->inputs.push_back(i);
    }
  }
  for (size_t i = 0; i < c.num_outputs(); ++i) {
    node.outputs.push_back(
        c.has_output(i) ? graph.add_value(graph.unique_name("out" + std::to_string(i))) : no_value);
  }
  GraphBuilder builder(graph);
  DecomposeContext context(builder, node);
  op.decompose(context);
  for (size_t i = 0; i < c.num_outputs(); ++i) {
    if (!c.has_output(i)) continue;
    // A value of its own, as one may be an input or another output, too. Identity has no floats of
    // six bits, which only a Cast gives.
    ValueId result = context.results()[i];
    bool plain = dtypes::float6s.contains(builder.dtype(result));
    graph.outputs.push_back(plain ? result : builder.add("Identity", {result}));
    state->outputs.push_back(i);
  }
  if (optimize) graph = lower(std::move(graph))->graph();
  state->plan = Plan::compile(graph, types, options);
  return state;
}

}  // namespace

std::unique_ptr<KernelState> ComposedKernel::prepare(const Op& op, PrepareContext& c) const {
  return compile(op, c, [&](size_t i) { return c.constant(i); }, true,
                 {.products = c.products(), .packed = c.packed_constants()});
}

void ComposedKernel::run(RunContext& c) const {
  const auto& state = c.state<ComposedState>();
  Execution execution(state.plan, {}, &c.control());
  for (size_t k = 0; k < state.inputs.size(); ++k) {
    execution.bind_input(k, c.input(state.inputs[k]));
  }
  for (size_t k = 0; k < state.outputs.size(); ++k) {
    execution.bind_output(k, c.output(state.outputs[k]));
  }
  execution.run(c.control());
}

void ComposedKernel::run_unprepared(const Op& op, RunContext& c) const {
  auto state = compile(op, c, [](size_t) -> const Tensor* { return nullptr; }, false, {});
  Execution execution(state->plan, {}, &c.control());
  for (size_t k = 0; k < state->inputs.size(); ++k) {
    execution.bind_input(k, c.input(state->inputs[k]));
  }
  execution.run(c.control());
  for (size_t k = 0; k < state->outputs.size(); ++k) {
    c.set_value(state->outputs[k], execution.take_output(k));
  }
}

ValueId Emit::dim(ValueId v, int64_t axis) const {
  ValueId shape = b.shape_of(v);
  return b.slice(shape, 0, axis, axis == -1 ? INT64_MAX : axis + 1);
}

ValueId Emit::fill(double value, DType dtype, ValueId shape) const {
  Tensor one = convert(Tensor::of<double>({1}, {value}), dtype);
  return b.add("ConstantOfShape", {shape}, {{"value", one}});
}

}  // namespace onnxrun
