// onnxrun.RecurrentForward: RNN, GRU or LSTM (layout 0) that keeps what its gradient needs.
#include <array>

#include "graph/gradient_context.h"
#include "kernels/compute_buffers.h"
#include "recurrent_family.h"
#include "recurrent_scan.h"

namespace onnxrun {

namespace {

using In = RecurrentInput;

struct ForwardState final : KernelState {
  RecurrentProblem problem;
};

class RecurrentForwardOp final : public Op {
 public:
  void attributes(AttributeVisitor& v) override { a_.visit_private(v); }

  void infer(InferContext& c) const override {
    RecurrentDims d = infer_recurrent(c, a_);
    Dim directions = a_.directions();
    Cell cell = a_.cells()[0];
    DType type = c.dtype(0);
    auto kept = [&](int64_t n) { return Shape{directions, d.steps, d.batch, d.hidden * Dim(n)}; };
    c.set_output(Out::Y, type, Shape{d.steps, directions, d.batch, d.hidden});
    c.set_output(Out::Yh, type, state_shape(a_, d));
    c.set_output(Out::Yc, type, state_shape(a_, d));
    c.set_output(Out::Gates, type, kept(cell.kept()));
    c.set_output(Out::Cells, type, kept(1));
    c.set_output(Out::Arguments, type, kept(cell.gates()));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<ForwardState>();
    state->problem = recurrent_problem(a_, c.input(In::X), c.input(In::R));
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      C present{};
      RecurrentForward<C> arrays;
      if (c.has_output(Out::Gates)) arrays.gates = &present;
      ScratchLayout layout;
      recurrent_forward(state->problem, arrays, layout);
      c.request_scratch(layout.bytes());
    });
    return state;
  }

  void run(RunContext& c) const override {
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() { run_as<T>(c); });
  }

  void gradient(GradientContext& g) const override {
    std::vector<ValueId> inputs;
    for (size_t i : {In::X, In::W, In::R, In::B, In::Lengths, In::InitialH, In::InitialC, In::P}) {
      inputs.push_back(g.input(i));
    }
    inputs[In::B] = no_value;
    for (size_t i : {Out::Y, Out::Gates, Out::Cells, Out::Arguments}) inputs.push_back(g.output(i));
    for (size_t i = 0; i < Out::Count; ++i) {
      inputs.push_back(g.has_grad(i) ? g.grad(i) : no_value);
    }
    std::vector<ValueId> grads = g.builder().add_n("onnxrun.RecurrentBackward", inputs, In::Count,
                                                   {.attributes = a_.to_private()});
    Node& node = g.builder().graph().nodes.back();
    for (size_t i = 0; i < In::Count; ++i) {
      if (g.wants(i)) {
        g.set(i, grads[i]);
      } else if (i != recurrent_raw || a_.kind != CellKind::LSTM) {
        node.outputs[i] = no_value;
      }
    }
  }

  void decompose(DecomposeContext& d) const override { decompose_recurrent_forward(d, a_); }

 private:
  using Out = RecurrentForwardOutput;

  template <typename T>
  void run_as(RunContext& c) const {
    const RecurrentProblem& problem = c.state<ForwardState>().problem;
    const RecurrentInputs<T> in(c);
    ComputeOutputs<T, Out::Count> out(c);
    ScratchLayout scratch(c.scratch());
    RecurrentForward<ComputeType<T>> arrays = in.arrays(c, problem.steps);
    arrays.y = out[Out::Y];
    arrays.y_h = out[Out::Yh];
    arrays.y_c = out[Out::Yc];
    arrays.gates = out[Out::Gates];
    arrays.arguments = out[Out::Arguments];
    arrays.cells = out[Out::Cells];
    recurrent_forward(problem, arrays, scratch);
    out.store();
  }

  RecurrentAttributes a_{CellKind::RNN};
};

}  // namespace

void register_recurrent_forward(OpRegistry& r) {
  using enum Param::Kind;
  r.add<RecurrentForwardOp>(
      {.name = "RecurrentForward",
       .domain = private_domain,
       .doc = "RNN, GRU or LSTM that keeps its gates, cells and the gates' arguments",
       .since = {1},
       .inputs = {{"X", "T"},
                  {"W", "T"},
                  {"R", "T"},
                  {"B", "T", Optional},
                  {"sequence_lens", "T1", Optional},
                  {"initial_h", "T", Optional},
                  {"initial_c", "T", Optional},
                  {"P", "T", Optional}},
       .outputs = {{"Y", "T", Optional},
                   {"Y_h", "T", Optional},
                   {"Y_c", "T", Optional},
                   {"gates", "T", Optional},
                   {"cells", "T", Optional},
                   {"arguments", "T", Optional}},
       .types = {{"T", dtypes::floats}, {"T1", DType::Int32}},
       .gradient = GradientState::Rule,
       .decomposes = true});
}

}  // namespace onnxrun
