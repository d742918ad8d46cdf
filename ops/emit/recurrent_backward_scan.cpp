// The decomposition of onnxrun.RecurrentBackward.
#include <array>
#include <cstdint>

#include "emit/recurrent_direction.h"
#include "emit/scan_builder.h"
#include "recurrent_scan.h"

namespace onnxrun {

namespace {

using BackwardIn = RecurrentBackwardInput;
using BackwardOut = RecurrentInput;
using Results = std::array<ValueId, BackwardOut::Count>;

class BackwardScan {
 public:
  BackwardScan(DecomposeContext& d, RecurrentDirection& direction)
      : d_(d),
        outer_(d.builder()),
        in_(direction),
        cell_(direction.cell()),
        scan_(outer_, !direction.is_reverse()),
        m_{scan_.body()} {}

  // Values for the gradients that are wanted, without the axis of directions.
  Results run() {
    prepare();
    std::vector<ValueId> raw = cell_.kind == CellKind::RNN   ? rnn()
                               : cell_.kind == CellKind::GRU ? gru()
                                                             : lstm();
    bool is_lstm = cell_.kind == CellKind::LSTM;
    std::vector<ValueId> states = {if_live(d_h_, begin_h_)};
    if (is_lstm) states.push_back(if_live(d_c_, m_.plus_if(begin_c_, d_cells_)));
    ValueId all = m_.concat(raw, 1);
    scan_.finish_iteration(std::move(states), {if_live(all, m_.zero(all))});
    std::vector<ValueId> values = scan_.build();
    Results results;
    results.fill(no_value);
    results[recurrent_raw] = values.back();
    results[BackwardOut::InitialH] = values[0];
    if (is_lstm) results[BackwardOut::InitialC] = values[1];
    weights(values.back(), raw.size(), results);
    return results;
  }

 private:
  bool has(size_t input) const { return d_.has_input(input); }
  bool wants(size_t output) const { return d_.has_output(output); }
  ValueId if_live(ValueId v, ValueId other) {
    return live_ == no_value ? v : m_.where(live_, v, other);
  }

  // The body's view of an input of the node that has an element for each step.
  ValueId scanned(size_t input, int64_t axis) {
    return has(input) ? scan_.scan(in_.part(d_.input(input), axis)) : no_value;
  }
  ValueId final_state(size_t input, ValueId zeros) {
    return scan_.state(has(input) ? in_.part(d_.input(input), 0) : zeros);
  }
  // `sequence` a step later in the direction's order, beginning with `initial` [batch,hidden].
  ValueId shifted(ValueId sequence, ValueId initial) {
    RecurrentMath m{outer_};
    ValueId first = outer_.unsqueeze(initial, {0});
    if (in_.is_reverse()) return outer_.slice(m.concat({sequence, first}, 0), 0, 1, INT64_MAX);
    return outer_.slice(m.concat({first, sequence}, 0), 0, 0, -1);
  }

  void prepare() {
    RecurrentMath m{outer_};
    bool is_lstm = cell_.kind == CellKind::LSTM;
    ValueId h0 = in_.initial_h(), zeros = outer_.zeros_like(h0),
            y = in_.part(d_.input(BackwardIn::Y), 1);
    begin_h_ = final_state(BackwardIn::DYh, zeros);
    if (is_lstm) begin_c_ = final_state(BackwardIn::DYc, zeros);
    outer_live_ = in_.live();
    if (outer_live_ != no_value) live_ = scan_.scan(outer_live_);
    h_before_ = shifted(outer_live_ == no_value ? y : m.where(outer_live_, y, h0), h0);
    gates_ = cell_.kind == CellKind::RNN ? std::vector{scan_.scan(y)}
                                         : m_.split(scanned(BackwardIn::Gates, 0), 1, kept());
    arguments_ = pieces(BackwardIn::Arguments, gates());
    d_gates_ = pieces(BackwardIn::DGates, kept());
    d_arguments_ = pieces(BackwardIn::DArguments, gates());
    ValueId d_y = scanned(BackwardIn::DY, 1);
    d_h_ = m_.plus_if(begin_h_, d_y);
    r_ = scan_.capture(in_.r());
    for (ValueId p : in_.peepholes()) peepholes_.push_back(scan_.capture(p));
    if (!is_lstm) return;
    cells_ = in_.part(d_.input(BackwardIn::Cells), 0);
    c_before_ = shifted(cells_, in_.initial_c());
    d_cells_ = scanned(BackwardIn::DCells, 0);
  }

  size_t kept() const { return static_cast<size_t>(cell_.kept()); }
  size_t gates() const { return static_cast<size_t>(cell_.gates()); }
  std::vector<ValueId> pieces(size_t input, size_t count) {
    ValueId v = scanned(input, 0);
    return v == no_value ? std::vector<ValueId>(count, no_value) : m_.split(v, 1, count);
  }

  // The cotangent of the argument of the gate kept at `slot`, whose argument is at `place`.
  ValueId argument(const Activation& f, size_t slot, size_t place, ValueId cotangent) {
    ValueId all = slot < d_gates_.size() ? m_.plus_if(cotangent, d_gates_[slot]) : cotangent;
    return m_.plus_if(m_.through(cell_, f, all, gates_[slot], arguments_[place]),
                      d_arguments_[place]);
  }

  std::vector<ValueId> rnn() {
    ValueId raw = argument(cell_.f, 0, 0, d_h_);
    d_h_ = m_.product(raw, r_);
    return {raw};
  }

  std::vector<ValueId> lstm() {
    ValueId i = gates_[0], o = gates_[1], f = gates_[2], g = gates_[3];
    ValueId c = scan_.scan(cells_), before = scan_.scan(c_before_);
    ValueId squashed = m_.activate(cell_, cell_.h, c, false);
    ValueId xo = argument(cell_.f, 1, 1, m_.mul(d_h_, squashed));
    ValueId dc = m_.plus(m_.plus_if(begin_c_, d_cells_),
                         m_.through(cell_, cell_.h, m_.mul(d_h_, o), squashed, c, false));
    if (!peepholes_.empty()) dc = m_.plus(dc, m_.mul(xo, peepholes_[1]));
    ValueId di = m_.mul(dc, g), df = m_.mul(dc, before), xf;
    if (cell_.coupled) {
      df = m_.plus_if(df, d_gates_[2]);
      di = m_.minus(di, df);
      xf = m_.plus_if(m_.mul(df, m_.zero(df)), d_arguments_[2]);
    } else {
      xf = argument(cell_.f, 2, 2, df);
    }
    ValueId xi = argument(cell_.f, 0, 0, di), xg = argument(cell_.g, 3, 3, m_.mul(dc, i));
    d_c_ = m_.mul(dc, f);
    if (!peepholes_.empty()) {
      d_c_ = m_.plus(d_c_, m_.plus(m_.mul(xi, peepholes_[0]), m_.mul(xf, peepholes_[2])));
    }
    d_h_ = m_.product(m_.concat({xi, xo, xf, xg}, 1), r_);
    return {xi, xo, xf, xg};
  }

  std::vector<ValueId> gru() {
    size_t last = kept() - 1;
    ValueId z = gates_[0], r = gates_[1], n = gates_[last], h = scan_.scan(h_before_);
    std::vector<ValueId> matrices = m_.split(r_, 0, 3);
    ValueId xz = argument(cell_.f, 0, 0, m_.mul(d_h_, m_.minus(h, n)));
    ValueId xn = argument(cell_.g, last, 2, m_.mul(d_h_, m_.one_minus(z)));
    ValueId passed = m_.mul(d_h_, z), xr, last_raw = xn;
    std::vector<ValueId> raw;
    if (cell_.linear_before_reset) {
      ValueId q = gates_[2];
      last_raw = m_.plus_if(m_.mul(xn, r), d_gates_[2]);
      xr = argument(cell_.f, 1, 1, m_.mul(xn, q));
      passed = m_.plus(passed, m_.product(last_raw, matrices[2]));
      raw = {xz, xr, last_raw, xn};
    } else {
      ValueId reset = m_.product(xn, matrices[2]);
      xr = argument(cell_.f, 1, 1, m_.mul(reset, h));
      passed = m_.plus(passed, m_.mul(reset, r));
      raw = {xz, xr, xn};
    }
    d_h_ = m_.plus(passed, m_.plus(m_.product(xz, matrices[0]), m_.product(xr, matrices[1])));
    return raw;
  }

  // [steps,batch,n] as [steps*batch,n].
  ValueId rows(ValueId v) { return outer_.add("Flatten", {v}, {{"axis", int64_t{2}}}); }
  ValueId transposed_product(ValueId a, ValueId b) {
    return outer_.add("Gemm", {rows(a), rows(b)}, {{"transA", int64_t{1}}});
  }
  ValueId sum_of_rows(ValueId v) { return outer_.reduce_sum(v, {0, 1}, false); }

  // Products over all steps from the cotangents of the gates' arguments.
  void weights(ValueId raw, size_t count, Results& results) {
    RecurrentMath m{outer_};
    ValueId for_inputs = raw, for_state = raw;
    if (cell_.is_linear_gru()) {
      std::vector<ValueId> p = m.split(raw, 2, count);
      for_inputs = m.concat({p[0], p[1], p[3]}, 2);
      for_state = m.concat({p[0], p[1], p[2]}, 2);
    }
    if (wants(BackwardOut::X)) results[BackwardOut::X] = m.product(for_inputs, in_.w());
    if (wants(BackwardOut::W)) results[BackwardOut::W] = transposed_product(for_inputs, in_.x());
    if (wants(BackwardOut::R)) results[BackwardOut::R] = recurrence(for_state);
    if (wants(BackwardOut::B))
      results[BackwardOut::B] = m.concat({sum_of_rows(for_inputs), sum_of_rows(for_state)}, 0);
    if (wants(BackwardOut::P)) results[BackwardOut::P] = peepholes(raw);
  }

  ValueId recurrence(ValueId raw) {
    if (!cell_.has_second_product()) return transposed_product(raw, h_before_);
    RecurrentMath m{outer_};
    std::vector<ValueId> p = m.split(raw, 2, 3);
    ValueId r = m.split(in_.part(d_.input(BackwardIn::Gates), 0), 2, 3)[1];
    ValueId joint = transposed_product(m.concat({p[0], p[1]}, 2), h_before_);
    return m.concat({joint, transposed_product(p[2], m.mul(r, h_before_))}, 0);
  }

  ValueId peepholes(ValueId raw) {
    RecurrentMath m{outer_};
    std::vector<ValueId> p = m.split(raw, 2, 4);
    return m.concat({sum_of_rows(m.mul(p[0], c_before_)), sum_of_rows(m.mul(p[1], cells_)),
                     sum_of_rows(m.mul(p[2], c_before_))},
                    0);
  }

  DecomposeContext& d_;
  GraphBuilder& outer_;
  RecurrentDirection& in_;
  const Cell& cell_;
  ScanBuilder scan_;
  RecurrentMath m_;
  // In the surrounding graph.
  ValueId outer_live_ = no_value, h_before_ = no_value, cells_ = no_value, c_before_ = no_value;
  // In the body.
  ValueId begin_h_ = no_value, begin_c_ = no_value, live_ = no_value, r_ = no_value;
  ValueId d_h_ = no_value, d_c_ = no_value, d_cells_ = no_value;
  std::vector<ValueId> gates_, arguments_, d_gates_, d_arguments_, peepholes_;
};

}  // namespace

void decompose_recurrent_backward(DecomposeContext& d, const RecurrentAttributes& a) {
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < BackwardOut::Count; ++i) inputs.push_back(d.input(i));
  std::vector<Results> directions;
  for (int64_t k = 0; k < a.directions(); ++k) {
    RecurrentDirection direction(d.builder(), a, inputs, k);
    directions.push_back(BackwardScan(d, direction).run());
  }
  RecurrentMath m{d.builder()};
  for (size_t i = 0; i < BackwardOut::Count; ++i) {
    if (!d.has_output(i)) continue;
    std::vector<ValueId> parts;
    for (const Results& r : directions) parts.push_back(r[i]);
    if (i == BackwardOut::X) {
      d.set(i, parts.size() == 1 ? parts[0] : m.plus(parts[0], parts[1]));
    } else {
      d.set(i, join_directions(d.builder(), parts, 0));
    }
  }
}

}  // namespace onnxrun
