// What RNN, GRU, LSTM and the private operators that train them share: attributes, shapes, and the
// problem they pose to the kernels.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/recurrent.h"

namespace onnxrun {

// Places of inputs; RNN and GRU have the first six. Outputs are Y, Y_h and for LSTM Y_c.
struct RecurrentInput {
  enum : size_t { X, W, R, B, Lengths, InitialH, InitialC, P, Count };
};

// Places of the private forward's outputs and of the backward's inputs, whose first are those of
// the forward and whose outputs are the gradients of those.
struct RecurrentForwardOutput {
  enum : size_t { Y, Yh, Yc, Gates, Cells, Arguments, Count };
};
struct RecurrentBackwardInput : RecurrentInput {
  enum : size_t {
    Y = RecurrentInput::Count,
    Gates,
    Cells,
    Arguments,
    DY,
    DYh,
    DYc,
    DGates,
    DCells,
    DArguments,
    Count
  };
};

// Lengths have no gradient. In its place the backward gives the cotangents of the gates' arguments,
// laid out as the gates are, if they are to lie outside its working memory.
inline constexpr size_t recurrent_raw = RecurrentInput::Lengths;

// "RNN", "GRU", "LSTM".
std::string_view to_string(CellKind kind);

struct RecurrentAttributes {
  explicit RecurrentAttributes(CellKind cell_kind) : kind(cell_kind) {}

  CellKind kind;
  std::vector<float> activation_alpha, activation_beta;
  std::optional<std::vector<std::string>> activations;
  std::optional<float> clip;
  std::string direction = "forward";
  std::optional<int64_t> hidden_size;
  bool input_forget = false;  // LSTM
  bool layout = false;
  bool linear_before_reset = false;  // GRU

  // Those of the standard's operator `kind`; others have no layout.
  void visit(AttributeVisitor& v, bool with_layout = true);
  // Those of a private operator: of all kinds, without layout.
  void visit_private(AttributeVisitor& v);
  // As visit_private() reads them.
  Attributes to_private() const;

  int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
  // The cell of each direction, without `hidden`. Throws BadModel for values that the standard does
  // not know.
  std::vector<Cell> cells() const;
  // True if the backward pass needs the arguments of the gates.
  bool keeps_arguments() const;

 private:
  void visit_common(AttributeVisitor& v);
};

// The lengths that inputs X, W, R, B, sequence_lens, initial_h, initial_c and P (as many as there
// are) agree on; rejects those that do not fit. Also checks the attributes.
struct RecurrentDims {
  Dim steps, batch, inputs, hidden;
};
RecurrentDims infer_recurrent(InferContext& c, const RecurrentAttributes& a);

// [directions,batch,hidden], or with the batch first.
Shape state_shape(const RecurrentAttributes& a, const RecurrentDims& d);

// From inputs of known shapes.
RecurrentProblem recurrent_problem(const RecurrentAttributes& a, const Tensor& x, const Tensor& r);

// The elements of sequence_lens, or null; throws BadInput unless 0 <= length <= steps.
const int32_t* checked_lengths(const RunContext& c, int64_t steps);

// An input of a node as its kernel reads it; empty where it is not there.
template <typename T>
ComputeInput<T> compute_input(const RunContext& c, size_t i) {
  return ComputeInput<T>(c.has_input(i) ? &c.input(i) : nullptr);
}

// The inputs of a forward operator as its kernel reads them. A local variable.
template <typename T>
class RecurrentInputs {
 public:
  explicit RecurrentInputs(const RunContext& c)
      : x_(compute_input<T>(c, In::X)),
        w_(compute_input<T>(c, In::W)),
        r_(compute_input<T>(c, In::R)),
        b_(compute_input<T>(c, In::B)),
        h0_(compute_input<T>(c, In::InitialH)),
        c0_(compute_input<T>(c, In::InitialC)),
        p_(compute_input<T>(c, In::P)) {}

  // Without outputs; valid as long as this and the context's inputs are. Throws as
  // checked_lengths() does.
  RecurrentForward<ComputeType<T>> arrays(const RunContext& c, int64_t steps) const {
    return {.x = x_.data(),
            .w = w_.data(),
            .r = r_.data(),
            .b = b_.data(),
            .h0 = h0_.data(),
            .c0 = c0_.data(),
            .p = p_.data(),
            .lengths = checked_lengths(c, steps)};
  }

 private:
  using In = RecurrentInput;
  ComputeInput<T> x_, w_, r_, b_, h0_, c0_, p_;
};

// The outputs of a node as its kernel computes them; null where one is not there. A local variable.
template <typename T, size_t N>
class ComputeOutputs {
 public:
  explicit ComputeOutputs(const RunContext& c) {
    for (size_t i = 0; i < N; ++i) {
      if (c.has_output(i)) outputs_[i].emplace(c.output(i));
    }
  }
  ComputeType<T>* operator[](size_t i) const { return outputs_[i] ? outputs_[i]->data() : nullptr; }
  void store() {
    for (auto& output : outputs_) {
      if (output) output->store();
    }
  }

 private:
  std::array<std::optional<ComputeOutput<T>>, N> outputs_;
};

}  // namespace onnxrun
