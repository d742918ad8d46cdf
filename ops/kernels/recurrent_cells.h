// One time step of a recurrent cell, and its gradient, for a block of batch rows: every gate in one
// pass over memory, vectorised for the processor the program runs on.
//
// The equations are those of the standard's RNN, GRU and LSTM. `clip` bounds the gates' arguments;
// the argument of LSTM's h, the cell state, is not bounded (as in ONNX Runtime).
//
// The gates of one row lie behind each other, `hidden` elements each:
//     RNN   f
//     GRU   z r n, or with linear_before_reset z r q n, where q = R_n h + Rb_n
//     LSTM  i o f c
//
// Rows whose sequence has ended at `time` (lengths[row] <= time) keep their state; their y, gates
// and arguments are 0 and their gradient is passed on.
#pragma once

#include <cstdint>

namespace onnxrun {

enum class CellKind : uint8_t { RNN, GRU, LSTM };

// The standard's activation functions, with a = alpha, b = beta.
enum class ActivationKind : uint8_t {
  Tanh,
  Sigmoid,
  Relu,
  Affine,           // a x + b
  LeakyRelu,        // x < 0 ? a x : x
  ThresholdedRelu,  // x >= a ? x : 0
  ScaledTanh,       // a tanh(b x)
  HardSigmoid,      // min(max(a x + b, 0), 1)
  Elu,              // x < 0 ? a (e^x - 1) : x
  Softsign,         // x / (1 + |x|)
  Softplus,         // log(1 + e^x)
};

struct Activation {
  ActivationKind kind = ActivationKind::Tanh;
  float alpha = 0, beta = 0;
};

// True if the derivative needs the function's argument, not just its result.
bool needs_argument(const Activation& a);

// What a step of one direction needs besides arrays.
struct Cell {
  CellKind kind = CellKind::RNN;
  int64_t hidden = 0;
  // RNN: f. GRU: f (z, r), g (n). LSTM: f (i, o, f), g (c), h.
  Activation f, g, h;
  bool clips = false;
  float clip = 0;
  bool coupled = false;              // LSTM: the forget gate is 1 - i
  bool linear_before_reset = false;  // GRU

  // Gates in W and R, and gates kept for a row.
  int64_t gates() const { return kind == CellKind::RNN ? 1 : kind == CellKind::GRU ? 3 : 4; }
  int64_t kept() const { return gates() + (is_linear_gru() ? 1 : 0); }
  bool is_linear_gru() const { return kind == CellKind::GRU && linear_before_reset; }
  // A GRU whose n needs a second product, of r h.
  bool has_second_product() const { return kind == CellKind::GRU && !linear_before_reset; }
};

// Pointers are to the block's first row; rows are *_row elements apart, those of h, c, cells and
// reset `hidden`.
template <typename T>
struct CellStep {
  int64_t rows = 0, time = 0;
  const int32_t* lengths = nullptr;  // of the block's rows; null: none ends
  T* gates = nullptr;                // arguments of the gates on entry, gates on return
  int64_t gates_row = 0;
  T* arguments = nullptr;  // if not null, gets the arguments (without GRU's q) before clipping
  int64_t arguments_row = 0;
  T* h = nullptr;      // state before and after
  T* c = nullptr;      // LSTM
  T* y = nullptr;      // if not null, gets h
  T* cells = nullptr;  // if not null, gets c
  T* reset = nullptr;  // GRU with a second product: r h between its two halves
  int64_t y_row = 0;
  const T* peepholes = nullptr;  // LSTM: i, o, f; null if none
};

// The whole step, or for a GRU with a second product its first half: z, r and r h.
void cell_forward(const Cell& cell, const CellStep<float>& step);
void cell_forward(const Cell& cell, const CellStep<double>& step);
// Its second half, when R_n (r h) has been added to n's argument.
void cell_forward_end(const Cell& cell, const CellStep<float>& step);
void cell_forward_end(const Cell& cell, const CellStep<double>& step);

// Cotangents that are null are zero. Rows as in CellStep; d_gates, d_cells and d_arguments lie as
// gates, cells and arguments do.
template <typename T>
struct CellGradient {
  int64_t rows = 0, time = 0;
  const int32_t* lengths = nullptr;
  const T* gates = nullptr;
  int64_t gates_row = 0;
  const T* arguments = nullptr;  // where needs_argument() or clips
  int64_t arguments_row = 0;
  const T* h_before = nullptr;  // GRU
  const T* cells = nullptr;     // LSTM: c after and before the step
  const T* c_before = nullptr;  // null: zero
  const T* peepholes = nullptr;
  const T* d_y = nullptr;
  int64_t d_y_row = 0;
  const T* d_gates = nullptr;
  const T* d_cells = nullptr;
  const T* d_arguments = nullptr;
  // Cotangents of the state: after the step on entry, before it on return, where for h the products
  // of `d_raw` and R are still to be added.
  T* d_h = nullptr;
  T* d_c = nullptr;
  T* d_raw = nullptr;  // gets the cotangents of the gates' arguments, laid out as gates are
  int64_t d_raw_row = 0;
  T* d_reset = nullptr;  // GRU with a second product: R_n' d n, computed between the halves
};

void cell_backward(const Cell& cell, const CellGradient<float>& step);
void cell_backward(const Cell& cell, const CellGradient<double>& step);
// The second half for a GRU with a second product, when d_reset is there: r's cotangent.
void cell_backward_end(const Cell& cell, const CellGradient<float>& step);
void cell_backward_end(const Cell& cell, const CellGradient<double>& step);

}  // namespace onnxrun
