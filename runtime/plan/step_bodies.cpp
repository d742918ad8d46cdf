#include "plan/step_bodies.h"

#include <utility>

#include "graph/value_type.h"

namespace onnxrun {

// A body whose shapes grow from iteration to iteration would keep memory for each of them.
static constexpr size_t max_kept = 4;

StepBodies::StepBodies(const PlanOptions& options, const Step& step, const RunningStep& running)
    : options_(options), step_(step), running_(running), kept_(running.node->bodies.size()) {}

void StepBodies::start(const RunControl& control) {
  finish();  // a run that failed left its captures
  control_ = &control;
}

void StepBodies::finish() {
  for (Body& body : kept_) {
    for (const auto& kept : body) {
      if (std::exchange(kept->captured, false)) release_captures(*kept);
    }
  }
}

void StepBodies::run(size_t k, std::span<RuntimeValue> formal, std::vector<RuntimeValue>& results,
                     bool last) {
  Kept& kept = find(k, formal);
  Execution& execution = *kept.execution;
  if (!kept.captured) bind_captures(kept, last);
  for (size_t i = 0; i < formal.size(); ++i) execution.lend_input(i, formal[i]);
  results.resize(running_.node->bodies[k].outputs.size());
  for (size_t i = 0; i < results.size(); ++i) execution.offer_output(i, results[i]);
  execution.run(*control_);
  for (size_t i = 0; i < formal.size(); ++i) execution.release_input(i);
  for (size_t i = 0; i < results.size(); ++i) results[i] = execution.take_output(i);
}

Type StepBodies::output_type(size_t body, size_t output) const {
  const Graph& graph = running_.node->bodies[body];
  return graph.value(graph.outputs[output]).type;
}

const RuntimeValue& StepBodies::captured(size_t i) const {
  static const RuntimeValue none;
  const RuntimeValue* value = running_.inputs[running_.node->formal_inputs() + i];
  return value ? *value : none;
}

bool StepBodies::accepts(const Kept& kept, std::span<const RuntimeValue> formal) const {
  for (size_t i = 0; i < formal.size(); ++i) {
    if (!kept.execution->accepts_input(i, formal[i])) return false;
  }
  // Those of a node that runs stay what they are.
  if (kept.captured) return true;
  for (size_t i = 0; i < captures(); ++i) {
    if (!kept.execution->accepts_input(formal.size() + i, captured(i))) return false;
  }
  return true;
}

StepBodies::Kept& StepBodies::find(size_t k, std::span<const RuntimeValue> formal) {
  Body& body = kept_[k];
  for (size_t i = 0; i < body.size(); ++i) {
    if (!accepts(*body[i], formal)) continue;
    if (i > 0) std::swap(body[0], body[i]);
    return *body[0];
  }
  if (body.size() == max_kept) body.clear();
  const Graph& graph = running_.node->bodies[k];
  std::vector<Type> types;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const RuntimeValue& value = i < formal.size() ? formal[i] : captured(i - formal.size());
    const Value& input = graph.value(graph.inputs[i]);
    types.push_back(value.is_tensor() ? type_of(value) : admit(value, input.type, input.name));
  }
  auto made = std::make_unique<Kept>();
  made->execution = std::make_unique<Execution>(step_.bodies[k]->get(graph, types, options_),
                                                std::vector<Tensor>(), control_);
  return **body.insert(body.begin(), std::move(made));
}

void StepBodies::bind_captures(Kept& kept, bool last) const {
  size_t formal = kept.execution->plan().graph().inputs.size() - captures();
  for (size_t i = 0; i < captures(); ++i) {
    // Nobody reads it after the last run, so this one may change it.
    RuntimeValue value = last ? running_.take(running_.node->formal_inputs() + i) : captured(i);
    kept.execution->lend_input(formal + i, value);
  }
  kept.captured = true;
}

void StepBodies::release_captures(const Kept& kept) const {
  size_t formal = kept.execution->plan().graph().inputs.size() - captures();
  for (size_t i = 0; i < captures(); ++i) kept.execution->release_input(formal + i);
}

}  // namespace onnxrun
