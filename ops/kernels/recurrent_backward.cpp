#include <algorithm>
#include <span>

#include "base/threads.h"
#include "base/work.h"
#include "kernels/gemm.h"
#include "kernels/recurrent.h"
#include "kernels/recurrent_blocks.h"

namespace onnxrun {

namespace {

template <typename T>
class Backward {
 public:
  Backward(const RecurrentProblem& problem, const RecurrentBackward<T>& arrays,
           ScratchLayout& scratch)
      : p_(problem),
        a_(arrays),
        n_(problem.hidden),
        gates_(problem.cell().gates()),
        kept_(problem.cell().kept()),
        rows_(problem.steps * problem.batch) {
    raw_ = a_.d_raw ? a_.d_raw : scratch.take<T>({p_.directions, p_.steps, p_.batch, kept_, n_});
    d_h_ = scratch.take<T>({p_.directions, p_.batch, n_});
    bool is_lstm = p_.cell().kind == CellKind::LSTM, is_gru = p_.cell().kind == CellKind::GRU;
    d_c_ = scratch.take_if<T>(is_lstm, {p_.directions, p_.batch, n_});
    bool second = p_.cell().has_second_product();
    d_reset_ = scratch.take_if<T>(second, {p_.directions, p_.batch, n_});
    peephole_sums_ = scratch.take_if<T>(a_.d_p, {3, n_});
    const bool packs = p_.steps > 1;
    h_before_ = scratch.take_if<T>(is_gru, {p_.directions, p_.steps, p_.batch, n_});
    // All but a GRU need the states when the packed R has served.
    const int64_t states = !is_gru && a_.d_r ? p_.directions * rows_ * n_ : 0;
    packed_ = scratch.take_if<T>(packs || states > 0,
                                 {std::max(packs ? packed_at(p_.directions, 0) : 0, states)});
  }

  void run() {
    if (h_before_) gather_states();
    if (p_.steps > 1) pack_recurrence();
    start(a_.d_y_h, d_h_);
    if (d_c_) start(a_.d_y_c, d_c_);
    for_each_block(p_, p_.steps, [&](int64_t d, int64_t row, int64_t rows) {
      for (int64_t s = p_.steps; s-- > 0;) {
        check_work();
        run_step(d, row, rows, p_.is_reverse(d) ? p_.steps - 1 - s : s);
      }
    });
    if (!h_before_ && a_.d_r) {
      h_before_ = packed_;
      gather_states();
    }
    int64_t states = p_.directions * p_.batch * n_;
    if (a_.d_h0) std::copy_n(d_h_, states, a_.d_h0);
    if (a_.d_c0) std::copy_n(d_c_, states, a_.d_c0);
    for (int64_t d = 0; d < p_.directions; ++d) weights(d);
  }

 private:
  void start(const T* from, T* to) const {
    int64_t states = p_.directions * p_.batch * n_;
    from ? std::copy_n(from, states, to) : std::fill_n(to, states, T(0));
  }

  // The step before in the direction's order, or -1.
  int64_t before(int64_t d, int64_t step) const {
    if (!p_.is_reverse(d)) return step - 1;
    return step + 1 < p_.steps ? step + 1 : -1;
  }

  // The state that each step began with. Rows that have ended, or in reverse not begun, have the
  // initial one; it only matters to the step that comes after them in reverse.
  void gather_states() const {
    parallel_for(p_.directions * p_.steps, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) gather_states_at(i / p_.steps, i % p_.steps);
    });
  }
  void gather_states_at(int64_t d, int64_t step) const {
    int64_t from = before(d, step);
    T* to = h_before_ + (d * p_.steps + step) * p_.batch * n_;
    for (int64_t row = 0; row < p_.batch; ++row, to += n_) {
      if (from >= 0 && !(a_.lengths && a_.lengths[row] <= from)) {
        std::copy_n(a_.y + ((from * p_.directions + d) * p_.batch + row) * n_, n_, to);
      } else if (a_.h0) {
        std::copy_n(a_.h0 + (d * p_.batch + row) * n_, n_, to);
      } else {
        std::fill_n(to, n_, T(0));
      }
    }
  }

  // The gates whose cotangents one product of a step takes back through R.
  static std::span<const GateRange> state_ranges(const Cell& cell) {
    static constexpr GateRange rnn[] = {{0, 0, 1}}, lstm[] = {{0, 0, 4}},
                               linear_gru[] = {{0, 0, 3}};
    static constexpr GateRange gru[] = {{2, 2, 1}, {0, 0, 2}};
    if (cell.has_second_product()) return gru;
    if (cell.kind == CellKind::RNN) return rnn;
    return cell.kind == CellKind::LSTM ? std::span<const GateRange>(lstm) : linear_gru;
  }

  // Where R from a gate on lies in packed_.
  int64_t packed_at(int64_t d, int64_t gate) const {
    return packed_elements<T>((d * gates_ + gate) * n_, n_);
  }
  void pack_recurrence() const {
    for (int64_t d = 0; d < p_.directions; ++d) {
      for (const GateRange& g : state_ranges(p_.cell())) {
        const MatrixView<T> r = {a_.r + (d * gates_ + g.gate) * n_ * n_, n_, 1};
        pack_columns(r, g.count * n_, n_, packed_ + packed_at(d, g.gate));
      }
    }
  }

  // d_state = beta d_state + raw R
  void through_recurrence(int64_t d, int64_t rows, int64_t step, const T* raw, const GateRange& g,
                          T beta, T* d_state) const {
    const T* r = a_.r + (d * gates_ + g.gate) * n_ * n_;
    const GemmArgs<T> args{rows,       n_,   g.count * n_, 1, {raw + g.slot * n_, kept_ * n_, 1},
                           {r, n_, 1}, beta, d_state,      n_};
    if (p_.steps == 1) return gemm(args);
    gemm_packed(args, packed_ + packed_at(d, g.gate), step % 2 != 0);
  }

  void run_step(int64_t d, int64_t row, int64_t rows, int64_t step) const {
    const Cell& cell = p_.cells[d];
    int64_t state = (d * p_.batch + row) * n_, at = (d * p_.steps + step) * p_.batch + row;
    int64_t y = ((step * p_.directions + d) * p_.batch + row) * n_;
    CellGradient<T> s;
    s.rows = rows;
    s.time = step;
    s.lengths = a_.lengths ? a_.lengths + row : nullptr;
    s.gates_row = kept_ * n_;
    s.gates = cell.kind == CellKind::RNN ? a_.y + y : a_.gates + at * s.gates_row;
    s.arguments_row = gates_ * n_;
    if (a_.arguments) s.arguments = a_.arguments + at * s.arguments_row;
    if (h_before_) s.h_before = h_before_ + at * n_;
    if (a_.d_y) s.d_y = a_.d_y + y;
    s.d_y_row = n_;
    if (a_.d_gates) s.d_gates = a_.d_gates + at * s.gates_row;
    if (a_.d_arguments) s.d_arguments = a_.d_arguments + at * s.arguments_row;
    s.d_h = d_h_ + state;
    s.d_raw = raw_ + at * kept_ * n_;
    s.d_raw_row = kept_ * n_;
    if (cell.kind == CellKind::LSTM) set_cells(d, row, step, s);
    cell_backward(cell, s);
    const std::span<const GateRange> ranges = state_ranges(cell);
    if (cell.has_second_product()) {
      s.d_reset = d_reset_ + state;
      through_recurrence(d, rows, step, s.d_raw, ranges[0], 0, s.d_reset);
      cell_backward_end(cell, s);
    }
    through_recurrence(d, rows, step, s.d_raw, ranges.back(), 1, s.d_h);
  }

  const T* cell_before(int64_t d, int64_t row, int64_t step) const {
    int64_t from = before(d, step);
    if (from >= 0) return a_.cells + ((d * p_.steps + from) * p_.batch + row) * n_;
    return a_.c0 ? a_.c0 + (d * p_.batch + row) * n_ : nullptr;
  }

  void set_cells(int64_t d, int64_t row, int64_t step, CellGradient<T>& s) const {
    int64_t at = ((d * p_.steps + step) * p_.batch + row) * n_;
    s.cells = a_.cells + at;
    s.c_before = cell_before(d, row, step);
    if (a_.d_cells) s.d_cells = a_.d_cells + at;
    s.d_c = d_c_ + (d * p_.batch + row) * n_;
    if (a_.p) s.peepholes = a_.p + d * 3 * n_;
  }

  void weights(int64_t d) const {
    const T* raw = raw_ + d * rows_ * kept_ * n_;
    for (const GateRange& g : input_ranges(p_.cell())) {
      if (a_.d_x) {
        gemm<T>(false, false, rows_, p_.inputs, g.count * n_, 1, raw + g.slot * n_, kept_ * n_,
                a_.w + (d * gates_ + g.gate) * n_ * p_.inputs, p_.inputs,
                d == 0 && g.gate == 0 ? 0 : 1, a_.d_x, p_.inputs);
      }
      if (a_.d_w) {
        gemm<T>(true, false, g.count * n_, p_.inputs, rows_, 1, raw + g.slot * n_, kept_ * n_, a_.x,
                p_.inputs, 0, a_.d_w + (d * gates_ + g.gate) * n_ * p_.inputs, p_.inputs);
      }
      if (a_.d_b) sum_rows(raw + g.slot * n_, g.count, bias_of(d, g.gate));
    }
    if (a_.d_r) recurrence(d, raw);
    if (a_.d_b) recurrent_biases(d, raw);
    if (a_.d_p) peepholes(d, raw);
  }

  void recurrence(int64_t d, const T* raw) const {
    const Cell& cell = p_.cells[d];
    T* h = h_before_ + d * rows_ * n_;
    int64_t joint = cell.has_second_product() ? 2 : cell.is_linear_gru() ? 3 : gates_;
    auto product = [&](int64_t gate, int64_t count) {
      gemm<T>(true, false, count * n_, n_, rows_, 1, raw + gate * n_, kept_ * n_, h, n_, 0,
              a_.d_r + (d * gates_ + gate) * n_ * n_, n_);
    };
    product(0, joint);
    if (!cell.has_second_product()) return;
    const T* gates = a_.gates + d * rows_ * kept_ * n_;
    for (int64_t row = 0; row < rows_; ++row) {
      const T* r = gates + (row * kept_ + 1) * n_;
      for (int64_t j = 0; j < n_; ++j) h[row * n_ + j] *= r[j];
    }
    product(2, 1);
  }

  T* bias_of(int64_t d, int64_t gate) const { return a_.d_b + (d * 2 * gates_ + gate) * n_; }

  // Rb enters as Wb does, except that a linear GRU's Rb_n is in q.
  void recurrent_biases(int64_t d, const T* raw) const {
    std::copy_n(bias_of(d, 0), gates_ * n_, bias_of(d, gates_));
    if (p_.cell().is_linear_gru()) sum_rows(raw + 2 * n_, 1, bias_of(d, gates_ + 2));
  }

  // Sums of the columns of `count` gates.
  void sum_rows(const T* raw, int64_t count, T* out) const {
    static constexpr T one = 1;
    gemm(GemmArgs<T>{
        1, count * n_, rows_, 1, {&one, 0, 0}, {raw, kept_ * n_, 1}, 0, out, count * n_});
  }

  // i and f see the cell before the step, o the one after it. A sum for each step keeps the total's
  // rounding small.
  void peepholes(int64_t d, const T* raw) const {
    T* out = a_.d_p + d * 3 * n_;
    std::fill_n(out, 3 * n_, T(0));
    for (int64_t step = 0; step < p_.steps; ++step) {
      std::fill_n(peephole_sums_, 3 * n_, T(0));
      for (int64_t row = 0; row < p_.batch; ++row) add_peepholes(d, row, step, raw);
      for (int64_t j = 0; j < 3 * n_; ++j) out[j] += peephole_sums_[j];
    }
  }
  void add_peepholes(int64_t d, int64_t row, int64_t step, const T* raw) const {
    const T* g = raw + (step * p_.batch + row) * kept_ * n_;
    const T* c = a_.cells + ((d * p_.steps + step) * p_.batch + row) * n_;
    T* out = peephole_sums_;
    for (int64_t j = 0; j < n_; ++j) out[n_ + j] += g[n_ + j] * c[j];
    const T* earlier = cell_before(d, row, step);
    if (!earlier) return;
    for (int64_t j = 0; j < n_; ++j) {
      out[j] += g[j] * earlier[j];
      out[2 * n_ + j] += g[2 * n_ + j] * earlier[j];
    }
  }

  const RecurrentProblem& p_;
  const RecurrentBackward<T>& a_;
  const int64_t n_, gates_, kept_, rows_;
  T *raw_, *d_h_, *d_c_, *d_reset_, *h_before_, *peephole_sums_, *packed_;
};

template <typename T>
void run_backward(const RecurrentProblem& p, const RecurrentBackward<T>& a,
                  ScratchLayout& scratch) {
  Backward<T> backward(p, a, scratch);
  if (!scratch.only_counts()) backward.run();
}

}  // namespace

void recurrent_backward(const RecurrentProblem& p, const RecurrentBackward<float>& a,
                        ScratchLayout& scratch) {
  run_backward(p, a, scratch);
}
void recurrent_backward(const RecurrentProblem& p, const RecurrentBackward<double>& a,
                        ScratchLayout& scratch) {
  run_backward(p, a, scratch);
}

}  // namespace onnxrun
