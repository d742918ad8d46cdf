// Recurrent layers: the cells of recurrent_cells.h over time, forward and backward.
//
// Products with the inputs are made for many steps at once, those with the state a step at a time,
// the weights' gradients as one product over all steps. Batch rows are independent: blocks of them
// run in parallel, and an element's bits depend on nothing but its own sequence, so they are the
// same for any number of threads, any batch around it and a sequence fed in pieces.
#pragma once

#include "kernels/recurrent_cells.h"
#include "kernels/scratch_layout.h"

namespace onnxrun {

// What one call computes.
struct RecurrentProblem {
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  bool reverse = false;      // the only direction is the reverse one
  bool batch_first = false;  // layout 1 of the standard: x, y and states begin with the batch
  Cell cells[2];             // of each direction

  const Cell& cell() const { return cells[0]; }
  bool is_reverse(int64_t direction) const { return direction == 1 || reverse; }
};

// Arrays as the standard shapes them, with G gates:
//     x [steps,batch,inputs], w [directions,G*hidden,inputs], r [directions,G*hidden,hidden],
//     b [directions,2*G*hidden], h0, c0, y_h, y_c [directions,batch,hidden],
//     p [directions,3*hidden], y [steps,directions,batch,hidden], lengths [batch]
// and, kept for the backward pass, with K = Cell::kept():
//     gates [directions,steps,batch,K*hidden], arguments [directions,steps,batch,G*hidden],
//     cells [directions,steps,batch,hidden].
// Null inputs are zero (lengths: all steps), null outputs are not wanted.
template <typename T>
struct RecurrentForward {
  const T *x = nullptr, *w = nullptr, *r = nullptr, *b = nullptr, *h0 = nullptr, *c0 = nullptr;
  const T* p = nullptr;
  const int32_t* lengths = nullptr;
  const T* r_packed = nullptr;  // pack_recurrence()'s result; null: made anew
  T *y = nullptr, *y_h = nullptr, *y_c = nullptr;
  T *gates = nullptr, *arguments = nullptr, *cells = nullptr;
};

// Working memory is taken from `scratch`; a layout without memory only counts, and nothing is
// computed. What is counted depends on the problem and on which pointers of `a` are null.
void recurrent_forward(const RecurrentProblem& p, const RecurrentForward<float>& a,
                       ScratchLayout& scratch);
void recurrent_forward(const RecurrentProblem& p, const RecurrentForward<double>& a,
                       ScratchLayout& scratch);

// How the products with r read it, of a list of which the first that applies is taken.
struct RecurrenceKernel {
  std::string_view name;
  bool (*applies)(const RecurrentProblem& p, bool is_packed);  // r is packed already
  bool packs;                                                  // in working memory, every run
};
const RecurrenceKernel& recurrence_kernel(const RecurrentProblem& p, bool is_packed);

// r laid out for the products of every step, and how many elements that takes.
template <typename T>
int64_t packed_recurrence(const RecurrentProblem& p);
template <>
int64_t packed_recurrence<float>(const RecurrentProblem& p);
template <>
int64_t packed_recurrence<double>(const RecurrentProblem& p);
void pack_recurrence(const RecurrentProblem& p, const float* r, float* packed);
void pack_recurrence(const RecurrentProblem& p, const double* r, double* packed);

// Cotangents, named and shaped as what they belong to. Null ones on entry are zero, null ones among
// the results are not wanted. Only layout 0. For RNN, `gates` is not needed.
template <typename T>
struct RecurrentBackward {
  const T *x = nullptr, *w = nullptr, *r = nullptr, *h0 = nullptr, *c0 = nullptr, *p = nullptr;
  const int32_t* lengths = nullptr;
  const T *y = nullptr, *gates = nullptr, *arguments = nullptr, *cells = nullptr;
  const T *d_y = nullptr, *d_y_h = nullptr, *d_y_c = nullptr;
  const T *d_gates = nullptr, *d_arguments = nullptr, *d_cells = nullptr;
  T *d_x = nullptr, *d_w = nullptr, *d_r = nullptr, *d_b = nullptr;
  T *d_h0 = nullptr, *d_c0 = nullptr, *d_p = nullptr;
  // The cotangents of the gates' arguments, as the gates lie; for LSTM perhaps in their place.
  // Null: in working memory.
  T* d_raw = nullptr;
};

// Scratch as for recurrent_forward().
void recurrent_backward(const RecurrentProblem& p, const RecurrentBackward<float>& a,
                        ScratchLayout& scratch);
void recurrent_backward(const RecurrentProblem& p, const RecurrentBackward<double>& a,
                        ScratchLayout& scratch);

}  // namespace onnxrun
