// onnxrun.RecurrentBackward: the gradients of onnxrun.RecurrentForward from what that kept.
#include "graph/gradient_context.h"
#include "kernels/compute_buffers.h"
#include "recurrent_family.h"
#include "recurrent_scan.h"

namespace onnxrun {

namespace {

using BackwardIn = RecurrentBackwardInput;
using BackwardOut = RecurrentInput;

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
    c.set_output(BackwardOut::X, type, Shape{d.steps, d.batch, d.inputs});
    c.set_output(BackwardOut::W, type, Shape{directions, hidden(gates), d.inputs});
    c.set_output(BackwardOut::R, type, Shape{directions, hidden(gates), d.hidden});
    c.set_output(BackwardOut::B, type, Shape{directions, hidden(2 * gates)});
    c.set_output(BackwardOut::InitialH, type, state_shape(a_, d));
    c.set_output(BackwardOut::InitialC, type, state_shape(a_, d));
    c.set_output(BackwardOut::P, type, Shape{directions, hidden(3)});
    const Dim kept = hidden(a_.cells()[0].kept());
    c.set_output(recurrent_raw, type, Shape{directions, d.steps, d.batch, kept});
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<BackwardState>();
    state->problem = recurrent_problem(a_, c.input(BackwardIn::X), c.input(BackwardIn::R));
    dispatch_float(c.input(BackwardIn::X).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      C present{};
      RecurrentBackward<C> arrays;
      if (c.has_output(BackwardOut::R)) arrays.d_r = &present;
      if (c.has_output(BackwardOut::P)) arrays.d_p = &present;
      if (c.has_output(recurrent_raw)) arrays.d_raw = &present;
      ScratchLayout layout;
      recurrent_backward(state->problem, arrays, layout);
      c.request_scratch(layout.bytes());
    });
    return state;
  }

  void run(RunContext& c) const override {
    dispatch_float(c.input(BackwardIn::X).dtype(), [&]<typename T>() { run_as<T>(c); });
  }

  void decompose(DecomposeContext& d) const override { decompose_recurrent_backward(d, a_); }

  OpTraits traits() const override {
    OpTraits traits;
    if (a_.kind == CellKind::LSTM) traits.in_place = {{BackwardIn::Gates, recurrent_raw}};
    return traits;
  }

 private:
  template <typename T>
  void run_as(RunContext& c) const {
    using C = ComputeType<T>;
    const RecurrentProblem& problem = c.state<BackwardState>().problem;
    auto input = [&](size_t i) { return compute_input<T>(c, i); };
    const ComputeInput<T> x = input(BackwardIn::X), w = input(BackwardIn::W),
                          r = input(BackwardIn::R);
    const ComputeInput<T> h0 = input(BackwardIn::InitialH), c0 = input(BackwardIn::InitialC),
                          p = input(BackwardIn::P);
    const ComputeInput<T> y = input(BackwardIn::Y), gates = input(BackwardIn::Gates),
                          cells = input(BackwardIn::Cells);
    const ComputeInput<T> arguments = input(BackwardIn::Arguments), d_y = input(BackwardIn::DY);
    const ComputeInput<T> d_y_h = input(BackwardIn::DYh), d_y_c = input(BackwardIn::DYc);
    const ComputeInput<T> d_gates = input(BackwardIn::DGates), d_cells = input(BackwardIn::DCells);
    const ComputeInput<T> d_arguments = input(BackwardIn::DArguments);
    ComputeOutputs<T, BackwardOut::Count> out(c);
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
                                         .d_x = out[BackwardOut::X],
                                         .d_w = out[BackwardOut::W],
                                         .d_r = out[BackwardOut::R],
                                         .d_b = out[BackwardOut::B],
                                         .d_h0 = out[BackwardOut::InitialH],
                                         .d_c0 = out[BackwardOut::InitialC],
                                         .d_p = out[BackwardOut::P],
                                         .d_raw = out[recurrent_raw]};
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
       {"d_X", "d_W", "d_R", "d_B", "d_raw", "d_initial_h", "d_initial_c", "d_P"}) {
    spec.outputs.push_back({name, "T", Optional});
  }
  r.add<RecurrentBackwardOp>(std::move(spec));
}

}  // namespace onnxrun
