// Expressions as the prepared state of nodes.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "graph/run_context.h"
#include "kernels/expression.h"

namespace onnxrun {

struct ExpressionState final : KernelState {
  explicit ExpressionState(Expression e) : expression(std::move(e)) {}
  Expression expression;
};

// `program` for a node's inputs and those of its outputs that are there, which have shape `dims`;
// numbers are computed as `number`.
inline std::unique_ptr<KernelState> prepare_expression(PrepareContext& c, const Program& program,
                                                       const Dims& dims, DType number) {
  std::vector<std::span<const int64_t>> inputs;
  for (size_t i = 0; i < c.num_inputs(); ++i) inputs.emplace_back(c.input(i).dims());
  auto state = std::make_unique<ExpressionState>(Expression(program, number, dims, inputs));
  c.request_scratch(state->expression.scratch());
  return state;
}

// A program that is one function of all inputs.
inline Program call_of(ElementFunction f) {
  return {operands_of(f), {{f, {0, 1, 2}}}, {operands_of(f)}};
}

using ExpressionInputs = std::array<const void*, Expression::most_inputs>;

inline ExpressionInputs expression_inputs(const RunContext& c) {
  ExpressionInputs inputs;  // NOLINT: as many are set as there are
  for (size_t i = 0; i < c.num_inputs(); ++i) inputs[i] = c.input(i).raw();
  return inputs;
}

inline void run_expression(const RunContext& c) {
  const ExpressionInputs inputs = expression_inputs(c);
  std::array<void*, Expression::most_calls> outputs;  // NOLINT
  size_t there = 0;
  for (size_t o = 0; o < c.num_outputs(); ++o) {
    if (c.has_output(o)) outputs[there++] = c.output(o).raw();
  }
  c.state<ExpressionState>().expression.run(inputs.data(), outputs.data(), c.scratch());
}

}  // namespace onnxrun
