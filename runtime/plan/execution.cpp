#include "plan/execution.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "graph/infer_context.h"
#include "plan/escapes.h"
#include "plan/finite.h"
#include "plan/step_memory.h"

namespace onnxrun {

struct Execution::RunningStep {
  const Op* op = nullptr;
  const Node* node = nullptr;
  std::vector<const RuntimeValue*> inputs;
  std::vector<RuntimeValue*> outputs;
  // Inputs in memory that is written again while outputs may still hold them: copies of these are
  // what the step reads.
  struct Escaping {
    const RuntimeValue* from;
    RuntimeValue copy = {};
  };
  std::vector<std::unique_ptr<Escaping>> escaping;
  std::unique_ptr<Bodies> bodies;
  std::unique_ptr<KernelState> dynamic_state;
  Tensor dynamic_scratch;
  RunContext context;
};

// Runs the subgraphs of one step; plans are shared, executions are this step's own.
class Execution::Bodies final : public BodyRunner {
 public:
  Bodies(const Execution& owner, const Step& step, const Node& node, const RunningStep& running)
      : options_(owner.plan_->options()), step_(step), node_(node), running_(running) {}

  std::vector<RuntimeValue> run(size_t k, std::span<const RuntimeValue> formal) override {
    const Graph& body = node_.bodies[k];
    std::vector<RuntimeValue> values(formal.begin(), formal.end());
    for (size_t i = node_.formal_inputs(); i < node_.inputs.size(); ++i) {
      values.push_back(running_.inputs[i] ? *running_.inputs[i] : RuntimeValue());
    }
    std::vector<Type> types;
    for (size_t i = 0; i < values.size(); ++i) {
      types.push_back(values[i].is_tensor() ? Type::tensor(values[i].tensor.dtype(),
                                                           to_shape(values[i].tensor.dims()))
                                            : body.value(body.inputs[i]).type);
    }
    Execution& execution = find(k, body, types);
    for (size_t i = 0; i < values.size(); ++i) execution.bind_input(i, std::move(values[i]));
    execution.run(*control);
    std::vector<RuntimeValue> results;
    for (size_t i = 0; i < body.outputs.size(); ++i) results.push_back(execution.take_output(i));
    return results;
  }

  Type output_type(size_t body, size_t output) const override {
    const Graph& graph = node_.bodies[body];
    return graph.value(graph.outputs[output]).type;
  }

  const RunControl* control = nullptr;

 private:
  Execution& find(size_t k, const Graph& body, const std::vector<Type>& types) {
    std::string key = std::to_string(k) + ":" + signature(types);
    auto it = executions_.find(key);
    if (it != executions_.end()) return *it->second;
    if (executions_.size() == max_kept_executions) executions_.clear();
    auto made = std::make_unique<Execution>(step_.bodies[k]->get(body, types, options_),
                                            std::vector<Tensor>(), control);
    made->share_results_ = true;
    return *(executions_[key] = std::move(made));
  }

  // A body whose shapes grow from iteration to iteration would keep memory for each of them.
  static constexpr size_t max_kept_executions = 4;

  const PlanOptions& options_;
  const Step& step_;
  const Node& node_;
  const RunningStep& running_;
  std::map<std::string, std::unique_ptr<Execution>> executions_;
};

static Tensor bytes_tensor(int64_t bytes, const RunControl* control) {
  Dims dims = {std::max<int64_t>(bytes, 1)};
  return control ? control->allocate(DType::UInt8, dims) : Tensor(DType::UInt8, dims);
}

Execution::Execution(std::shared_ptr<const Plan> plan, std::vector<Tensor> state,
                     const RunControl* control)
    : plan_(std::move(plan)),
      arena_(bytes_tensor(plan_->arena_bytes(), control)),
      scratch_(bytes_tensor(plan_->scratch_bytes(), control)),
      values_(plan_->prototypes()),
      state_(std::move(state)),
      outputs_(plan_->graph().outputs.size()),
      bound_(outputs_.size(), false),
      counted_(control != nullptr) {
  if (plan_->has_dynamic_steps()) types_ = std::make_unique<Graph>(plan_->graph());
  for (const Buffer& b : plan_->buffers()) {
    if (b.kind == Buffer::Kind::Arena) point_buffer(b, arena_.raw() + b.offset, nullptr);
    if (b.kind == Buffer::Kind::State) {
      point_buffer(b, state_[static_cast<size_t>(b.index)].raw(), nullptr);
    }
  }
  for (const Step& step : plan_->steps()) {
    auto running = std::make_unique<RunningStep>();
    const Node& node = node_of(*plan_, step);
    running->op = node.op.get();
    running->node = &node;
    auto slot = [&](ValueId v) {
      return v == no_value ? nullptr : &values_[static_cast<size_t>(v)];
    };
    for (ValueId v : node.inputs) running->inputs.push_back(slot(v));
    for (ValueId v : node.outputs) running->outputs.push_back(slot(v));
    if (step.dynamic) copy_what_escapes(*running);
    if (!node.bodies.empty()) {
      running->bodies = std::make_unique<Bodies>(*this, step, node, *running);
    }
    auto formal = std::span(running->inputs).first(node.formal_inputs());
    running->context = RunContext(formal, running->outputs, step.state.get(), scratch_.raw(),
                                  running->bodies.get(), nullptr);
    steps_.push_back(std::move(running));
  }
}

Execution::~Execution() = default;

void Execution::copy_what_escapes(RunningStep& step) {
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    ValueId v = step.node->inputs[i];
    if (v == no_value || plan_->buffer_of(v) < 0) continue;
    Buffer::Kind kind = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(v))].kind;
    bool own =
        kind == Buffer::Kind::Arena || kind == Buffer::Kind::Output || kind == Buffer::Kind::State;
    if (!own || !may_escape(plan_->graph(), *step.node, i)) continue;
    step.escaping.push_back(
        std::make_unique<RunningStep::Escaping>(RunningStep::Escaping{step.inputs[i]}));
    step.inputs[i] = &step.escaping.back()->copy;
  }
}

void Execution::point_buffer(const Buffer& buffer, void* data,
                             const std::shared_ptr<void>& keep_alive) {
  for (ValueId v : buffer.values) values_[static_cast<size_t>(v)].tensor.rebind(data, keep_alive);
}

void Execution::bind_input(size_t k, RuntimeValue value) {
  ValueId id = plan_->graph().inputs[k];
  const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(id))];
  if (b.kind == Buffer::Kind::State) fail(ErrorKind::Internal, "an input that is state is fed");
  RuntimeValue& slot = values_[static_cast<size_t>(id)];
  if (value.is_tensor() && slot.is_tensor() && slot.tensor.dtype() == value.tensor.dtype() &&
      slot.tensor.dims() == value.tensor.dims()) {
    // Views of the input move with it. They share its buffer itself: an owner around it would grow
    // by one with every iteration of a loop that passes its state on.
    for (ValueId v : b.values) {
      Tensor& view = values_[static_cast<size_t>(v)].tensor;
      view = value.tensor.view(view.dims());
    }
    return;
  }
  if (plan_->graph().value(id).type.is_concrete()) {
    fail(ErrorKind::Internal, "input '{}' is {}, the plan is for {}", plan_->graph().name_of(id),
         value.tensor.type_text(), plan_->graph().value(id).type.to_string());
  }
  slot = std::move(value);
}

void Execution::bind_output(size_t k, Tensor memory) {
  const Graph& graph = plan_->graph();
  const RuntimeValue& slot = values_[static_cast<size_t>(graph.outputs[k])];
  if (slot.is_tensor() &&
      (slot.tensor.dtype() != memory.dtype() || slot.tensor.dims() != memory.dims())) {
    fail(ErrorKind::BadInput, "output '{}' is {}, the memory bound to it is {}",
         graph.name_of(graph.outputs[k]), slot.tensor.type_text(), memory.type_text());
  }
  outputs_[k] = std::move(memory);
  bound_[k] = true;
  const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(graph.outputs[k]))];
  if (b.kind == Buffer::Kind::Output && b.index == static_cast<int>(k)) {
    point_buffer(b, outputs_[k].tensor.raw(), nullptr);
  }
}

Tensor Execution::new_result(const Tensor& like, const RunControl& control) const {
  return counted_ ? control.allocate(like.dtype(), like.dims()) : Tensor(like.dtype(), like.dims());
}

void Execution::make_outputs(const RunControl& control) {
  const Graph& graph = plan_->graph();
  for (size_t k = 0; k < outputs_.size(); ++k) {
    if (bound_[k]) continue;
    const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(graph.outputs[k]))];
    if (b.kind != Buffer::Kind::Output || b.index != static_cast<int>(k)) continue;
    // Memory that nobody took after the last run serves this one.
    if (outputs_[k].is_tensor() && outputs_[k].tensor.unique()) continue;
    const Tensor& like = values_[static_cast<size_t>(graph.outputs[k])].tensor;
    outputs_[k] = RuntimeValue();
    outputs_[k] = new_result(like, control);
    point_buffer(b, outputs_[k].tensor.raw(), nullptr);
  }
}

void Execution::run(const RunControl& control) {
  control.check();
  make_outputs(control);
  auto commit = static_cast<size_t>(plan_->commit_at());
  run_steps(0, commit, control);
  if (!plan_->graph().guards.empty()) check_guards(control);
  run_steps(commit, steps_.size(), control);
  copy_results(control);
}

void Execution::run_steps(size_t begin, size_t end, const RunControl& control) {
  size_t s = begin;
  StepMemory memory(arena_, scratch_);
  try {
    for (; s < end; ++s) {
      control.check();
      RunningStep& step = *steps_[s];
      step.context.set_control(&control);
      for (const auto& e : step.escaping) {
        memory.open(e->from);
        e->copy = control.allocate(e->from->tensor.dtype(), e->from->tensor.dims());
        copy_elements(e->from->tensor, e->copy.tensor);
      }
      memory.enter(step.inputs, step.outputs, plan_->steps()[s].scratch);
      auto start =
          observer_ ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
      if (plan_->steps()[s].dynamic) {
        run_dynamic(s);
      } else {
        step.op->run(step.context);
      }
      if (observer_) {
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        std::vector<const RuntimeValue*> outputs(step.outputs.begin(), step.outputs.end());
        observer_(*step.node, outputs, took.count());
      }
    }
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::Timeout || e.kind() == ErrorKind::Cancelled) throw;
    throw e.in(describe(plan_->graph(), *steps_[s]->node));
  }
}

static Type type_of(const RuntimeValue& v, const Type& declared) {
  if (!v.is_tensor()) return declared;
  return Type::tensor(v.tensor.dtype(), to_shape(v.tensor.dims()));
}

// Everything is known now: infer with the elements at hand, allocate, prepare, run.
void Execution::run_dynamic(size_t s) {
  RunningStep& step = *steps_[s];
  const Step& planned = plan_->steps()[s];
  Node& node = types_->nodes[static_cast<size_t>(planned.node)];
  const RunControl& control = step.context.control();
  if (step.bodies) {
    step.bodies->control = &control;
    step.op->run(step.context);
  } else {
    std::span<const RuntimeValue* const> inputs = step.inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!inputs[i]) continue;
      Value& value = types_->value(node.inputs[i]);
      value.type = type_of(*inputs[i], value.type);
    }
    InferContext context(*types_, node, inputs);
    try {
      node.op->infer(context);
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::BadModel) throw Error(ErrorKind::BadInput, e.what());
      throw;
    }
    bool ready = true;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!step.outputs[i]) continue;
      const Type& t = types_->value(node.outputs[i]).type;
      if (t.is_concrete() && node.op->traits().view) {
        *step.outputs[i] = inputs[0]->tensor.view(to_dims(*t.shape));
      } else if (t.is_concrete()) {
        step.context.allocate(i, t.dtype, to_dims(*t.shape));
      } else {
        ready = false;
      }
    }
    if (!(ready && node.op->traits().view)) {
      if (ready) {
        PrepareContext prepare(inputs, step.outputs, {});
        step.dynamic_state = node.op->prepare(prepare);
        if (prepare.scratch() > 0) step.dynamic_scratch = bytes_tensor(prepare.scratch(), &control);
      }
      step.context = RunContext(inputs, step.outputs, step.dynamic_state.get(),
                                step.dynamic_scratch.raw(), nullptr, &control);
      step.op->run(step.context);
    }
  }
  for (const auto& e : step.escaping) e->copy = RuntimeValue();
  for (ValueId v : planned.release) values_[static_cast<size_t>(v)] = RuntimeValue();
}

static std::string guard_text(const Graph& graph, ValueId v) {
  for (const StateBinding& s : graph.state) {
    if (s.out == v) return "the new '" + graph.name_of(s.in) + "'";
  }
  return "'" + graph.name_of(v) + "'";
}

void Execution::check_guards(const RunControl& control) {
  for (ValueId v : plan_->graph().guards) {
    if (!all_finite(values_[static_cast<size_t>(v)].tensor)) {
      blame_first_node(control, guard_text(plan_->graph(), v));
    }
  }
}

// Nothing has been committed, so the same run once more finds the same numbers, one node at a time.
void Execution::blame_first_node(const RunControl& control, const std::string& guard) {
  for (size_t s = 0; s < static_cast<size_t>(plan_->commit_at()); ++s) {
    run_steps(s, s + 1, control);
    for (size_t i = 0; i < steps_[s]->outputs.size(); ++i) {
      const RuntimeValue* out = steps_[s]->outputs[i];
      if (!out || !out->is_tensor() || all_finite(out->tensor)) continue;
      fail(ErrorKind::Numeric, "{} is not finite; the first value that is not is '{}' of {}", guard,
           plan_->graph().name_of(steps_[s]->node->outputs[i]),
           describe(plan_->graph(), *steps_[s]->node));
    }
  }
  fail(ErrorKind::Numeric, "{} is not finite, as the model's inputs or weights are not", guard);
}

void Execution::copy_results(const RunControl& control) {
  for (const Plan::Copy& copy : plan_->copies()) {
    const RuntimeValue& from = values_[static_cast<size_t>(copy.from)];
    if (copy.state >= 0) {
      copy_elements(from.tensor, state_[static_cast<size_t>(copy.state)]);
      continue;
    }
    auto k = static_cast<size_t>(copy.output);
    if (!bound_[k]) {
      const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(copy.from))];
      // Only what the next run may overwrite needs a copy; inputs and constants are the caller's to
      // keep apart, but for bodies.
      bool lasting = b.kind == Buffer::Kind::Input || b.kind == Buffer::Kind::Constant;
      bool keeps =
          b.kind == Buffer::Kind::Dynamic || !from.is_tensor() || (lasting && share_results_);
      if (keeps) {
        outputs_[k] = from;
      } else {
        outputs_[k] = new_result(from.tensor, control);
        copy_elements(from.tensor, outputs_[k].tensor);
      }
    } else if (from.tensor.dtype() != outputs_[k].tensor.dtype() ||
               from.tensor.dims() != outputs_[k].tensor.dims()) {
      fail(ErrorKind::BadInput, "output '{}' is {}, the memory bound to it is {}",
           plan_->graph().name_of(copy.from), from.tensor.type_text(),
           outputs_[k].tensor.type_text());
    } else {
      copy_elements(from.tensor, outputs_[k].tensor);
    }
  }
}

}  // namespace onnxrun
