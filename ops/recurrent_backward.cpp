// onnxrun.RecurrentBackward: the gradients of onnxrun.RecurrentForward from what that kept.
#include "graph/gradient_context.h"
#include "kernels/compute_buffers.h"
#include "recurrent_family.h"
#include "recurrent_scan.h"

namespace onnxrun {

namespace {

using In = RecurrentBackwardInput;
using Out = RecurrentInput;

struct BackwardState final : KernelState {
  RecurrentProblem problem;
};

class RecurrentBackwardOp final : public Op {
 public:
  void attributes(AttributeVisitor& v) override { a_.visit_private(v); }

  // Gradients have the shapes of what they belong to.
  void infer(InferContext& c) const override {
    RecurrentDims d = infer_recurrent(c, a_);
    Dim directions = a_.directions();
    auto hidden = [&](int64_t n) { return d.hidden * Dim(n); };
    int64_t gates = a_.cells()[0].gates();
    DType type = c.dtype(0);
    c.set_output(Out::X, type, Shape{d.steps, d.batch, d.inputs});
    c.set_output(Out::W, type, Shape{directions, hidden(gates), d.inputs});
    c.set_output(Out::R, type, Shape{directions, hidden(gates), d.hidden});
    c.set_output(Out::B, type, Shape{directions, hidden(2 * gates)});
    c.set_output(Out::InitialH, type, state_shape(a_, d));
    c.set_output(Out::InitialC, type, state_shape(a_, d));
    c.set_output(Out::P, type, Shape{directions, hidden(3)});
    c.set_output(Out::Lengths, type, Shape{});
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<BackwardState>();
    state->problem = recurrent_problem(a_, c.input(In::X), c.input(In::R));
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      C present{};
      RecurrentBackward<C> arrays;
      if (c.has_output(Out::R)) arrays.d_r = &present;
      if (c.has_output(Out::P)) arrays.d_p = &present;
      ScratchLayout layout;
      recurrent_backward(state->problem, arrays, layout);
      c.request_scratch(layout.bytes());
    });
    return state;
  }

  void run(RunContext& c) const override {
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() { run_as<T>(c); });
  }

  void decompose(DecomposeContext& d) const override { decompose_recurrent_backward(d, a_); }

 private:
  template <typename T>
  void run_as(RunContext& c) const {
    using C = ComputeType<T>;
    const RecurrentProblem& problem = c.state<BackwardState>().problem;
    auto input = [&](size_t i) { return compute_input<T>(c, i); };
    const ComputeInput<T> x = input(In::X), w = input(In::W), r = input(In::R);
    const ComputeInput<T> h0 = input(In::InitialH), c0 = input(In::InitialC), p = input(In::P);
    const ComputeInput<T> y = input(In::Y), gates = input(In::Gates), cells = input(In::Cells);
    const ComputeInput<T> arguments = input(In::Arguments), d_y = input(In::DY);
    const ComputeInput<T> d_y_h = input(In::DYh), d_y_c = input(In::DYc);
    const ComputeInput<T> d_gates = input(In::DGates), d_cells = input(In::DCells);
    const ComputeInput<T> d_arguments = input(In::DArguments);
    ComputeOutputs<T, Out::Count> out(c);
    ScratchLayout scratch(c.scratch());
    const RecurrentBackward<C> arrays = {.x = x.data(),
                                         .w = w.data(),
                                         .r = r.data(),
                                         .h0 = h0.data(),
                                         .c0 = c0.data(),
                                         .p = p.data(),
                                         .lengths = checked_lengths(c, problem.steps),
                                         .y = y.data(),
                                         .gates = gates.data(),
                                         .arguments = arguments.data(),
                                         .cells = cells.data(),
                                         .d_y = d_y.data(),
                                         .d_y_h = d_y_h.data(),
                                         .d_y_c = d_y_c.data(),
                                         .d_gates = d_gates.data(),
                                         .d_arguments = d_arguments.data(),
                                         .d_cells = d_cells.data(),
                                         .d_x = out[Out::X],
                                         .d_w = out[Out::W],
                                         .d_r = out[Out::R],
                                         .d_b = out[Out::B],
                                         .d_h0 = out[Out::InitialH],
                                         .d_c0 = out[Out::InitialC],
                                         .d_p = out[Out::P]};
    recurrent_backward(problem, arrays, scratch);
    out.store();
  }

  RecurrentAttributes a_{CellKind::RNN};
};

}  // namespace

void register_recurrent_backward(OpRegistry& r) {
  using enum Param::Kind;
  OpSpec spec = {.name = "RecurrentBackward",
                 .domain = private_domain,
                 .doc = "the gradients of onnxrun.RecurrentForward's inputs",
                 .since = {1},
                 .inputs = {{"X", "T"}, {"W", "T"}, {"R", "T"}},
                 .types = {{"T", dtypes::floats}, {"T1", DType::Int32}},
                 .gradient = GradientState::Decompose,
                 .decomposes = true};
  for (const char* name :
       {"B", "sequence_lens", "initial_h", "initial_c", "P", "Y", "gates", "cells", "arguments",
        "d_Y", "d_Y_h", "d_Y_c", "d_gates", "d_cells", "d_arguments"}) {
    spec.inputs.push_back({name, name == std::string_view("sequence_lens") ? "T1" : "T", Optional});
  }
  for (const char* name :
       {"d_X", "d_W", "d_R", "d_B", "unused", "d_initial_h", "d_initial_c", "d_P"}) {
    spec.outputs.push_back({name, "T", Optional});
  }
  r.add<RecurrentBackwardOp>(std::move(spec));
}

}  // namespace onnxrun
