// A step of a plan in one execution: where its inputs and outputs are, and what it keeps from run
// to run.
#pragma once

#include <memory>
#include <vector>

#include "graph/op.h"
#include "graph/run_context.h"

namespace onnxrun {

class StepBodies;

struct RunningStep {
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
  std::unique_ptr<StepBodies> bodies;
  std::unique_ptr<KernelState> dynamic_state;
  Tensor dynamic_scratch;
  std::vector<char> last_uses;  // as RunContext has them, captures too
  // Whether the types that the plan knows of the inputs leave open what they hold.
  bool vague = false;
  RunContext context;

  RuntimeValue take(size_t i) const {
    if (!inputs[i]) return {};
    return last_uses[i] ? std::move(const_cast<RuntimeValue&>(*inputs[i])) : *inputs[i];  // NOLINT
  }
};

}  // namespace onnxrun
