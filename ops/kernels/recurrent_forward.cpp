#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/threads.h"
#include "base/work.h"
#include "kernels/gemm.h"
#include "kernels/recurrent.h"
#include "kernels/recurrent_blocks.h"

namespace onnxrun {

namespace {

// Bytes of gates' arguments that are made at a time where they are not kept: a cache's worth.
constexpr int64_t chunk_bytes = 1 << 20;

// Consecutive gates whose arguments one product of a step gives.
struct StateProduct {
  int64_t gate, count;
};

std::span<const StateProduct> state_products(const Cell& cell) {
  static constexpr StateProduct rnn[] = {{0, 1}}, lstm[] = {{0, 4}}, gru[] = {{0, 2}, {2, 1}};
  static constexpr StateProduct linear_gru[] = {{0, 3}};
  if (cell.has_second_product()) return gru;
  if (cell.kind == CellKind::RNN) return rnn;
  return cell.kind == CellKind::LSTM ? std::span<const StateProduct>(lstm) : linear_gru;
}

// Calls f(direction, product, at) for all of them, `at` being where its packed part of R begins.
template <typename T, typename F>
void for_each_state_product(const RecurrentProblem& p, const F& f) {
  int64_t at = 0;
  for (int64_t d = 0; d < p.directions; ++d) {
    for (const StateProduct& product : state_products(p.cell())) {
      f(d, product, at);
      at += packed_elements<T>(p.hidden, product.count * p.hidden);
    }
  }
}

constexpr RecurrenceKernel recurrence_kernels[] = {
    {"R packed once", [](const RecurrentProblem&, bool is_packed) { return is_packed; }, false},
    {"R packed every run", [](const RecurrentProblem& p, bool) { return p.steps > 1; }, true},
    {"R where it lies", [](const RecurrentProblem&, bool) { return true; }, false},
};

template <typename T>
class Forward {
 public:
  Forward(const RecurrentProblem& problem, const RecurrentForward<T>& arrays,
          ScratchLayout& scratch)
      : p_(problem),
        a_(arrays),
        n_(problem.hidden),
        gates_(problem.cell().gates()),
        kept_(problem.cell().kept()),
        chunk_(chunk_steps()) {
    bias_ = scratch.take<T>({p_.directions, kept_, n_});
    h_ = scratch.take<T>({p_.directions, p_.batch, n_});
    bool is_lstm = p_.cell().kind == CellKind::LSTM;
    c_ = scratch.take_if<T>(is_lstm, {p_.directions, p_.batch, n_});
    bool second = p_.cell().has_second_product();
    reset_ = scratch.take_if<T>(second, {p_.directions, p_.batch, n_});
    raw_ = scratch.take_if<T>(!a_.gates, {p_.directions, chunk_, p_.batch, kept_, n_});
    const bool packs = recurrence_kernel(p_, a_.r_packed != nullptr).packs;
    for_each_state_product<T>(p_, [&](int64_t d, const StateProduct& product, int64_t at) {
      packed_at_[static_cast<size_t>(2 * d + (product.gate > 0))] = at;
    });
    packed_ = scratch.take_if<T>(packs, {packs ? packed_recurrence<T>(p_) : 0});
  }

  void run() {
    if (p_.batch == 0 || n_ == 0) return;
    if (packed_) pack_recurrence(p_, a_.r, packed_);
    add_biases();
    load_states();
    for (int64_t first = 0; first < p_.steps; first += chunk_) {
      int64_t count = std::min(chunk_, p_.steps - first);
      for (int64_t d = 0; d < p_.directions; ++d)
        multiply_inputs(d, first_step(d, first, count), count);
      for_each_block(p_, count, [&](int64_t d, int64_t row, int64_t rows) {
        run_steps(d, row, rows, first_step(d, first, count), count);
      });
    }
    store_states(h_, a_.y_h);
    store_states(c_, a_.y_c);
  }

 private:
  int64_t chunk_steps() const {
    if (a_.gates || p_.steps == 0) return p_.steps;
    double bytes = static_cast<double>(p_.batch) * static_cast<double>(kept_ * n_) * sizeof(T);
    return std::clamp<int64_t>(static_cast<int64_t>(chunk_bytes / std::max(bytes, 1.0)), 1,
                               p_.steps);
  }

  // Of `count` steps, when `done` have been done, the one that is earliest in time.
  int64_t first_step(int64_t d, int64_t done, int64_t count) const {
    return p_.is_reverse(d) ? p_.steps - done - count : done;
  }

  // Arguments of the gates of one direction at a step, `base` being the first of the chunk.
  T* gates_at(int64_t d, int64_t step, int64_t base) const {
    int64_t width = p_.batch * kept_ * n_;
    return a_.gates ? a_.gates + (d * p_.steps + step) * width
                    : raw_ + (d * chunk_ + step - base) * width;
  }

  // What every gate's argument starts with. A GRU that is linear before reset keeps Rb_n apart.
  void add_biases() const {
    int64_t width = gates_ * n_;
    for (int64_t d = 0; d < p_.directions; ++d) {
      T* out = bias_ + d * kept_ * n_;
      std::fill_n(out, kept_ * n_, T(0));
      if (!a_.b) continue;
      const T *wb = a_.b + d * 2 * width, *rb = wb + width;
      bool linear = p_.cell().is_linear_gru();
      int64_t joint = linear ? 2 * n_ : width;
      for (int64_t j = 0; j < joint; ++j) out[j] = wb[j] + rb[j];
      if (linear) {
        std::copy_n(rb + joint, n_, out + joint);
        std::copy_n(wb + joint, n_, out + joint + n_);
      }
    }
  }

  int64_t state_offset(int64_t d, int64_t row) const {
    return p_.batch_first ? (row * p_.directions + d) * n_ : (d * p_.batch + row) * n_;
  }
  void load_states() const {
    for (auto [from, to] : {std::pair(a_.h0, h_), std::pair(a_.c0, c_)}) {
      if (!to) continue;
      for (int64_t d = 0; d < p_.directions; ++d) {
        for (int64_t row = 0; row < p_.batch; ++row) {
          T* state = to + (d * p_.batch + row) * n_;
          from ? std::copy_n(from + state_offset(d, row), n_, state) : std::fill_n(state, n_, T(0));
        }
      }
    }
  }
  void store_states(const T* from, T* to) const {
    if (!to) return;
    for (int64_t d = 0; d < p_.directions; ++d) {
      for (int64_t row = 0; row < p_.batch; ++row) {
        std::copy_n(from + (d * p_.batch + row) * n_, n_, to + state_offset(d, row));
      }
    }
  }

  // Bias and product with the inputs for steps [first, first + count).
  void multiply_inputs(int64_t d, int64_t first, int64_t count) const {
    int64_t row_width = kept_ * n_, rows = count * p_.batch;
    T* out = gates_at(d, first, first);
    const T* bias = bias_ + d * row_width;
    for (int64_t row = 0; row < rows; ++row) std::copy_n(bias, row_width, out + row * row_width);
    for (const GateRange& g : input_ranges(p_.cell())) {
      const T* w = a_.w + (d * gates_ + g.gate) * n_ * p_.inputs;
      T* to = out + g.slot * n_;
      if (!p_.batch_first) {
        const T* x = a_.x + first * p_.batch * p_.inputs;
        gemm<T>(false, true, rows, g.count * n_, p_.inputs, 1, x, p_.inputs, w, p_.inputs, 1, to,
                row_width);
        continue;
      }
      for (int64_t row = 0; row < p_.batch; ++row) {
        const T* x = a_.x + (row * p_.steps + first) * p_.inputs;
        gemm<T>(false, true, count, g.count * n_, p_.inputs, 1, x, p_.inputs, w, p_.inputs, 1,
                to + row * row_width, p_.batch * row_width);
      }
    }
  }

  // out += state R' for the gates of one product of a step.
  void multiply_state(int64_t d, int64_t rows, int64_t step, const T* state,
                      const StateProduct& product, T* out) const {
    const T* packed = a_.r_packed ? a_.r_packed : packed_;
    const T* r = a_.r + (d * gates_ + product.gate) * n_ * n_;
    const GemmArgs<T> args{rows, product.count * n_, n_, 1, {state, n_, 1}, {r, 1, n_}, 1,
                           out,  kept_ * n_};
    if (!packed) return gemm(args);
    gemm_packed(args, packed + packed_at_[static_cast<size_t>(2 * d + (product.gate > 0))],
                step % 2 != 0);
  }

  // `count` steps from `first` (in time) of a block of rows.
  void run_steps(int64_t d, int64_t row, int64_t rows, int64_t first, int64_t count) const {
    for (int64_t s = 0; s < count; ++s) {
      check_work();
      int64_t step = p_.is_reverse(d) ? first + count - 1 - s : first + s;
      run_step(d, row, rows, step, first);
    }
  }

  void run_step(int64_t d, int64_t row, int64_t rows, int64_t step, int64_t base) const {
    const Cell& cell = p_.cells[d];
    int64_t state = (d * p_.batch + row) * n_, kept = (d * p_.steps + step) * p_.batch + row;
    CellStep<T> s;
    s.rows = rows;
    s.time = step;
    s.lengths = a_.lengths ? a_.lengths + row : nullptr;
    s.gates = gates_at(d, step, base) + row * kept_ * n_;
    s.gates_row = kept_ * n_;
    if (a_.arguments) s.arguments = a_.arguments + kept * gates_ * n_;
    s.arguments_row = gates_ * n_;
    s.h = h_ + state;
    if (c_) s.c = c_ + state;
    if (reset_) s.reset = reset_ + state;
    if (a_.cells) s.cells = a_.cells + kept * n_;
    if (a_.p) s.peepholes = a_.p + d * 3 * n_;
    if (a_.y) {
      int64_t at = p_.batch_first ? (row * p_.steps + step) * p_.directions + d
                                  : (step * p_.directions + d) * p_.batch + row;
      s.y = a_.y + at * n_;
      s.y_row = p_.batch_first ? p_.steps * p_.directions * n_ : n_;
    }
    bool second = cell.has_second_product();
    const std::span<const StateProduct> products = state_products(cell);
    multiply_state(d, rows, step, s.h, products[0], s.gates);
    cell_forward(cell, s);
    if (!second) return;
    multiply_state(d, rows, step, s.reset, products[1], s.gates + 2 * n_);
    cell_forward_end(cell, s);
  }

  const RecurrentProblem& p_;
  const RecurrentForward<T>& a_;
  const int64_t n_, gates_, kept_, chunk_;
  T *bias_, *h_, *c_, *reset_, *raw_, *packed_;
  std::array<int64_t, 4> packed_at_{};  // of a direction's first and second product
};

template <typename T>
void run_forward(const RecurrentProblem& p, const RecurrentForward<T>& a, ScratchLayout& scratch) {
  Forward<T> forward(p, a, scratch);
  if (!scratch.only_counts()) forward.run();
}

template <typename T>
int64_t packed_size(const RecurrentProblem& p) {
  int64_t end = 0;
  for_each_state_product<T>(p, [&](int64_t, const StateProduct& product, int64_t at) {
    end = at + packed_elements<T>(p.hidden, product.count * p.hidden);
  });
  return end;
}

template <typename T>
void pack(const RecurrentProblem& p, const T* r, T* packed) {
  const int64_t n = p.hidden, gates = p.cell().gates();
  for_each_state_product<T>(p, [&](int64_t d, const StateProduct& product, int64_t at) {
    const T* from = r + (d * gates + product.gate) * n * n;
    pack_columns(MatrixView<T>{from, 1, n}, n, product.count * n, packed + at);
  });
}

}  // namespace

const RecurrenceKernel& recurrence_kernel(const RecurrentProblem& p, bool is_packed) {
  return *std::ranges::find_if(recurrence_kernels,
                               [&](const auto& kernel) { return kernel.applies(p, is_packed); });
}

void recurrent_forward(const RecurrentProblem& p, const RecurrentForward<float>& a,
                       ScratchLayout& scratch) {
  run_forward(p, a, scratch);
}
void recurrent_forward(const RecurrentProblem& p, const RecurrentForward<double>& a,
                       ScratchLayout& scratch) {
  run_forward(p, a, scratch);
}

template <>
int64_t packed_recurrence<float>(const RecurrentProblem& p) {
  return packed_size<float>(p);
}
template <>
int64_t packed_recurrence<double>(const RecurrentProblem& p) {
  return packed_size<double>(p);
}

void pack_recurrence(const RecurrentProblem& p, const float* r, float* packed) {
  pack(p, r, packed);
}
void pack_recurrence(const RecurrentProblem& p, const double* r, double* packed) {
  pack(p, r, packed);
}

}  // namespace onnxrun
