#include "plan/execution.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "graph/checks_ahead.h"
#include "graph/infer_context.h"
#include "graph/run_scope.h"
#include "graph/value_type.h"
#include "plan/blame.h"
#include "plan/escapes.h"
#include "plan/finite.h"
#include "plan/running_step.h"
#include "plan/step_bodies.h"
#include "plan/step_memory.h"
#include "tensor/sole_owner.h"

namespace onnxrun {

// Memory for many tensors, however large one of them may be.
static Tensor bytes_tensor(int64_t bytes, const RunControl* control) {
  Work work = current_work() ? *current_work() : Work();
  work.max_tensor = INT64_MAX;
  WorkScope scope(&work);
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
      body_(control != nullptr) {
  if (plan_->has_dynamic_steps()) types_ = std::make_unique<Graph>(plan_->graph());
  for (const Buffer& b : plan_->buffers()) {
    if (b.kind == Buffer::Kind::Arena) point_buffer(b, arena_.raw() + b.offset, nullptr);
    if (b.kind == Buffer::Kind::State) {
      point_buffer(b, state_[static_cast<size_t>(b.index)].raw(), nullptr);
    }
  }
  for (ValueId id : plan_->graph().inputs) {
    const Buffer& buffer = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(id))];
    bool concrete = values_[static_cast<size_t>(id)].is_tensor();
    inputs_.push_back({id, &buffer, concrete});
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
      running->bodies = std::make_unique<StepBodies>(plan_->options(), step, *running);
    }
    if (step.dynamic) find_last_uses(*running, static_cast<int>(steps_.size()));
    point_context(*running, step.state.get(), scratch_.raw(), nullptr);
    if (step.is_checked_ahead) {
      asked_.push_back({steps_.size(), dynamic_cast<const ChecksAhead*>(running->op)});
    }
    steps_.push_back(std::move(running));
  }
  for (size_t c = 0; c < plan_->copies().size(); ++c) {
    const auto& copies = plan_->copies();
    moves_.push_back(
        std::none_of(copies.begin() + static_cast<std::ptrdiff_t>(c) + 1, copies.end(),
                     [&](const Plan::Copy& later) { return later.from == copies[c].from; }));
  }
}

void Execution::point_context(RunningStep& step, const KernelState* state, std::byte* scratch,
                              const RunControl* control) {
  auto formal = std::span(step.inputs).first(step.node->formal_inputs());
  step.context = RunContext(formal, step.outputs, state, scratch, step.bodies.get(), control);
  step.context.set_last_uses(step.last_uses);
}

// Containers in values that this execution makes, or was given to change, are handed over by the
// step that reads them last.
void Execution::find_last_uses(RunningStep& step, int index) {
  const Node& node = *step.node;
  step.last_uses.assign(node.inputs.size(), 0);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    ValueId v = node.inputs[i];
    if (v == no_value) continue;
    const Type& type = plan_->graph().value(v).type;
    step.vague |= !has_elements(type);
    if (type.is_tensor() || plan_->buffer_of(v) < 0) continue;
    const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(v))];
    bool own = b.kind == Buffer::Kind::Dynamic || (body_ && b.kind == Buffer::Kind::Input);
    bool once = std::count(node.inputs.begin(), node.inputs.end(), v) == 1;
    step.last_uses[i] = own && once && b.last == index;
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

bool Execution::accepts_input(size_t k, const RuntimeValue& value) const {
  const InputSlot& input = inputs_[k];
  if (value.is_tensor()) {
    const Tensor& planned = values_[static_cast<size_t>(input.id)].tensor;
    return input.concrete && planned.dtype() == value.tensor.dtype() &&
           planned.dims() == value.tensor.dims();
  }
  // Whether elements are what they should be was seen where they were put in.
  const Type& planned = plan_->graph().value(input.id).type;
  if (!looks_like(value, planned)) return false;
  return has_elements(planned) || identical(planned, admit(value, planned, ""));
}

void Execution::lend_input(size_t k, RuntimeValue& value) {
  const InputSlot& input = inputs_[k];
  if (!value.is_tensor()) {
    values_[static_cast<size_t>(input.id)] = std::exchange(value, RuntimeValue());
    return;
  }
  for (ValueId v : input.buffer->values) {
    values_[static_cast<size_t>(v)].tensor.rebind(value.tensor);
  }
}

void Execution::release_input(size_t k) {
  const InputSlot& input = inputs_[k];
  if (!input.concrete) {
    values_[static_cast<size_t>(input.id)] = RuntimeValue();
    return;
  }
  for (ValueId v : input.buffer->values) values_[static_cast<size_t>(v)].tensor.rebind(nullptr);
}

void Execution::rest() {
  for (size_t k = 0; k < inputs_.size(); ++k) {
    if (inputs_[k].buffer->kind == Buffer::Kind::Input) release_input(k);
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    if (!bound_[k]) outputs_[k] = RuntimeValue();
  }
}

void Execution::offer_output(size_t k, RuntimeValue& value) {
  RuntimeValue offered = std::exchange(value, RuntimeValue());
  if (!offered.is_tensor() || !is_sole_owner(offered.tensor.owner()) || outputs_[k].is_tensor())
    return;
  ValueId id = plan_->graph().outputs[k];
  const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(id))];
  const Tensor& like = values_[static_cast<size_t>(id)].tensor;
  bool fits = b.kind == Buffer::Kind::Output && b.index == static_cast<int>(k) &&
              like.dtype() == offered.tensor.dtype() && like.dims() == offered.tensor.dims();
  if (!fits) return;
  outputs_[k] = std::move(offered);
  point_buffer(b, outputs_[k].tensor.raw(), nullptr);
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
  return body_ ? control.allocate(like.dtype(), like.dims()) : Tensor(like.dtype(), like.dims());
}

void Execution::make_outputs(const RunControl& control) {
  const Graph& graph = plan_->graph();
  for (size_t k = 0; k < outputs_.size(); ++k) {
    if (bound_[k]) continue;
    const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(graph.outputs[k]))];
    if (b.kind != Buffer::Kind::Output || b.index != static_cast<int>(k)) continue;
    // Memory that nobody took after the last run serves this one.
    if (outputs_[k].is_tensor() && is_sole_owner(outputs_[k].tensor.owner())) continue;
    const Tensor& like = values_[static_cast<size_t>(graph.outputs[k])].tensor;
    outputs_[k] = RuntimeValue();
    outputs_[k] = new_result(like, control);
    point_buffer(b, outputs_[k].tensor.raw(), nullptr);
  }
}

void Execution::run(const RunControl& control) {
  control.check_begun();
  std::optional<RunScope> scope;
  if (!body_ && !RunScope::covers(control)) scope.emplace(control);
  make_outputs(control);
  run_steps(0, static_cast<size_t>(plan_->commit_at()), control);
  if (!plan_->graph().guards.empty()) check_guards(control);
  if (static_cast<size_t>(plan_->commit_at()) < steps_.size()) return commit(control);
  copy_results(control);
}

void Execution::commit(const RunControl& control) {
  WorkScope scope(nullptr);
  run_steps(static_cast<size_t>(plan_->commit_at()), steps_.size(), control);
  copy_results(control);
}

static constexpr size_t steps_between_checks = 16;

void Execution::run_steps(size_t begin, size_t end, const RunControl& control) {
  size_t s = begin;
  StepMemory memory(arena_, scratch_);
  const bool may_end = current_work() != nullptr;
  try {
    for (; s < end; ++s) {
      // Those that take long look for themselves; all others together do not.
      if (may_end && (s - begin) % steps_between_checks == steps_between_checks - 1)
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
      } else if (!plan_->steps()[s].idle) {
        step.op->run(step.context);
      }
      if (observer_) {
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        std::vector<const RuntimeValue*> outputs(step.outputs.begin(), step.outputs.end());
        observer_(*step.node, step.inputs, outputs, took.count());
      }
    }
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::Timeout || e.kind() == ErrorKind::Cancelled) throw;
    throw e.in(frame_of(plan_->graph(), *steps_[s]->node));
  }
}

// The plan left open what this step is given, so the operator's spec is held against it now.
void Execution::check_inputs(const RunningStep& step, const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const RuntimeValue* value = step.inputs[i];
    if (value && value->kind != RuntimeValue::Kind::None) {
      types_->value(node.inputs[i]).type = type_of(*value);
    }
  }
  check_input_types(*types_, node);
}

// What goes on to steps that were planned for the declared types, or out, has these.
void Execution::check_outputs(const RunningStep& step) const {
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    if (!step.outputs[i]) continue;
    const Value& output = plan_->graph().value(step.node->outputs[i]);
    if (!looks_like(*step.outputs[i], output.type)) {
      fail(ErrorKind::BadInput, "'{}' is {}, expected {}", output.name,
           onnxrun::describe(*step.outputs[i]), output.type.to_string());
    }
  }
}

void Execution::run_dynamic(size_t s) {
  RunningStep& step = *steps_[s];
  const RunControl& control = step.context.control();
  Node& node = types_->nodes[static_cast<size_t>(plan_->steps()[s].node)];
  if (step.vague) check_inputs(step, node);
  if (step.bodies) {
    step.bodies->start(control);
    step.op->run(step.context);
    step.bodies->finish();
  } else {
    run_inferred(step, node);
  }
  check_outputs(step);
  for (const auto& e : step.escaping) e->copy = RuntimeValue();
  for (ValueId v : plan_->steps()[s].release) values_[static_cast<size_t>(v)] = RuntimeValue();
}

static void infer_with(const Node& node, InferContext context) {
  try {
    node.op->infer(context);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::BadModel) throw e.as(ErrorKind::BadInput);
    throw;
  }
}

// Operators copy strings, so none of a result is longer than the longest there is.
static void require_text(std::span<const RuntimeValue* const> inputs, const Tensor& output,
                         const RunControl& control) {
  size_t longest = 0;
  for (const RuntimeValue* v : inputs) {
    if (!v || !v->is_tensor() || v->tensor.dtype() != DType::String) continue;
    for (const std::string& text : v->tensor.span<std::string>()) {
      longest = std::max(longest, text.size());
    }
  }
  if (longest < sizeof(std::string)) return;
  control.require(output.size(), static_cast<int64_t>(longest), "the text of a result");
}

// Everything is known now: infer with the elements at hand, allocate, prepare, run.
void Execution::run_inferred(RunningStep& step, Node& node) {
  const RunControl& control = step.context.control();
  std::span<const RuntimeValue* const> inputs = step.inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (inputs[i] && inputs[i]->is_tensor()) {
      types_->value(node.inputs[i]).type = type_of(*inputs[i]);
    }
  }
  infer_with(node, InferContext(*types_, node, inputs));
  bool ready = true, view = node.op->traits().view;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!step.outputs[i]) continue;
    const Type& t = types_->value(node.outputs[i]).type;
    if (t.is_concrete() && view) {
      *step.outputs[i] = inputs[0]->tensor.view(to_dims(*t.shape));
    } else if (t.is_concrete()) {
      Tensor& output = step.context.allocate(i, t.dtype, to_dims(*t.shape));
      if (t.dtype == DType::String) require_text(inputs, output, control);
    } else {
      ready = false;
    }
  }
  if (ready && (view || writes_nothing(step.outputs))) return;
  step.dynamic_state = nullptr;
  if (ready) {
    PrepareContext prepare(inputs, step.outputs, {}, plan_->options().products);
    step.dynamic_state = node.op->prepare(prepare);
    if (prepare.scratch() > 0) step.dynamic_scratch = bytes_tensor(prepare.scratch(), &control);
  }
  point_context(step, step.dynamic_state.get(), step.dynamic_scratch.raw(), &control);
  step.op->run(step.context);
  for (RuntimeValue* output : step.outputs) {
    if (output && output->is_tensor() && output->tensor.dtype() == DType::String) {
      output->tensor = control.count_text(std::move(output->tensor));
    }
  }
}

static std::string guard_text(const Graph& graph, ValueId v) {
  for (const StateBinding& s : graph.state) {
    if (s.out == v) return "the new '" + graph.name_of(s.in) + "'";
  }
  return "'" + graph.name_of(v) + "'";
}

void Execution::check_guards(const RunControl& control) {
  for (ValueId v : plan_->guards()) {
    if (!all_finite(values_[static_cast<size_t>(v)].tensor)) {
      blame_first_node(control, guard_text(plan_->graph(), v));
    }
  }
  for (const AskedStep& asked : asked_) {
    RunningStep& step = *steps_[asked.step];
    step.context.set_control(&control);
    const std::optional<size_t> output = asked.op->first_not_finite(step.context);
    if (!output) continue;
    blame_first_node(control, guard_text(plan_->graph(), step.node->outputs[*output]), asked.step,
                     *output);
  }
}

// Nothing has been committed, so the same run once more finds the same numbers, one node at a time.
void Execution::blame_first_node(const RunControl& control, const std::string& guard, size_t ahead,
                                 size_t output) {
  for (size_t s = 0; s < static_cast<size_t>(plan_->commit_at()); ++s) {
    run_steps(s, s + 1, control);
    for (size_t i = 0; i < steps_[s]->outputs.size(); ++i) {
      const RuntimeValue* out = steps_[s]->outputs[i];
      if (!out || !out->is_tensor() || all_finite(out->tensor)) continue;
      // The step may have been written over its inputs: they are made anew.
      run_steps(0, s, control);
      fail(ErrorKind::Numeric, "{} is not finite; the first value that is not is {}", guard,
           blamed_value(plan_->graph(), *steps_[s]->node, steps_[s]->inputs, i));
    }
  }
  if (ahead < steps_.size()) {
    fail(ErrorKind::Numeric, "{} is not finite; the first value that is not is {}", guard,
         blamed_value(plan_->graph(), *steps_[ahead]->node, steps_[ahead]->inputs, output));
  }
  fail(ErrorKind::Numeric, "{} is not finite, as the model's inputs or weights are not", guard);
}

// Large state is copied by many threads; no state is text.
static void copy_state(const Tensor& from, Tensor& to) {
  constexpr int64_t grain = 1 << 19;
  if (from.bytes() <= grain) return copy_elements(from, to);
  WorkScope scope(nullptr);  // no limit leaves half of it
  parallel_for(from.bytes(), grain, [&](int64_t begin, int64_t end) {
    std::memcpy(to.raw() + begin, from.raw() + begin, static_cast<size_t>(end - begin));
  });
}

void Execution::copy_results(const RunControl& control) {
  for (size_t c = 0; c < plan_->copies().size(); ++c) {
    const Plan::Copy& copy = plan_->copies()[c];
    RuntimeValue& from = values_[static_cast<size_t>(copy.from)];
    if (copy.state >= 0) {
      copy_state(from.tensor, state_[static_cast<size_t>(copy.state)]);
      continue;
    }
    auto k = static_cast<size_t>(copy.output);
    if (!bound_[k]) {
      const Buffer& b = plan_->buffers()[static_cast<size_t>(plan_->buffer_of(copy.from))];
      // Only what the next run may overwrite needs a copy; inputs and constants are the caller's to
      // keep apart, but for bodies.
      bool lasting = b.kind == Buffer::Kind::Input || b.kind == Buffer::Kind::Constant;
      bool keeps = b.kind == Buffer::Kind::Dynamic || !from.is_tensor() || (lasting && body_);
      if (b.kind == Buffer::Kind::Dynamic && moves_[c]) {
        outputs_[k] = std::move(from);
      } else if (keeps) {
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
