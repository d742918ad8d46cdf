// The decomposition of onnxrun.RecurrentForward.
#include <array>

#include "emit/recurrent_direction.h"
#include "emit/scan_builder.h"
#include "recurrent_scan.h"

namespace onnxrun {

namespace {

using ForwardOut = RecurrentForwardOutput;
using ForwardResults = std::array<ValueId, ForwardOut::Count>;

// What one iteration computes, before sequences that have ended are left out.
struct ScanStep {
  ValueId h = no_value, c = no_value;
  std::vector<ValueId> gates, arguments;
};

class ForwardScan {
 public:
  ForwardScan(GraphBuilder& outer, RecurrentDirection& direction)
      : outer_(outer),
        in_(direction),
        cell_(direction.cell()),
        scan_(outer, direction.is_reverse()) {}

  // Values for the outputs that are wanted, without the axis of directions.
  ForwardResults run(const std::array<bool, ForwardOut::Count>& wanted) {
    prepare();
    ScanStep step = cell_.kind == CellKind::RNN   ? rnn()
                    : cell_.kind == CellKind::GRU ? gru()
                                                  : lstm();
    bool is_lstm = cell_.kind == CellKind::LSTM;
    RecurrentMath m{scan_.body()};
    auto if_live = [&](ValueId v, ValueId other) {
      return live_ == no_value ? v : m.where(live_, v, other);
    };
    std::vector<ValueId> states = {if_live(step.h, h_)}, stacked;
    if (is_lstm) states.push_back(if_live(step.c, c_));
    std::vector<size_t> places;
    auto stack = [&](size_t output, ValueId v) {
      places.push_back(output);
      stacked.push_back(v);
    };
    if (wanted[ForwardOut::Y]) stack(ForwardOut::Y, if_live(step.h, m.zero(step.h)));
    if (wanted[ForwardOut::Gates])
      stack(ForwardOut::Gates, if_live(m.concat(step.gates, 1), m.zero(step.h)));
    if (wanted[ForwardOut::Cells])
      stack(ForwardOut::Cells, scan_.body().add("Identity", {states[1]}));
    if (wanted[ForwardOut::Arguments]) {
      stack(ForwardOut::Arguments, if_live(m.concat(step.arguments, 1), m.zero(step.h)));
    }
    size_t carried = states.size();
    scan_.finish_iteration(std::move(states), std::move(stacked));
    std::vector<ValueId> values = scan_.build();
    ForwardResults results;
    results.fill(no_value);
    results[ForwardOut::Yh] = values[0];
    if (is_lstm) results[ForwardOut::Yc] = values[1];
    for (size_t i = 0; i < places.size(); ++i) results[places[i]] = values[carried + i];
    return results;
  }

 private:
  // Products with the inputs of all steps, and the body's operands.
  void prepare() {
    RecurrentMath m{outer_};
    ValueId inputs = m.product(in_.x(), outer_.transpose(in_.w(), {1, 0}));
    std::vector<ValueId> biases = in_.biases();
    if (!biases.empty()) inputs = m.plus(inputs, input_bias(m, biases));
    h_ = scan_.state(in_.initial_h());
    if (cell_.kind == CellKind::LSTM) c_ = scan_.state(in_.initial_c());
    inputs_ = scan_.scan(inputs);
    if (ValueId live = in_.live(); live != no_value) live_ = scan_.scan(live);
    r_ = scan_.capture(outer_.transpose(in_.r(), {1, 0}));
    for (ValueId p : in_.peepholes()) peepholes_.push_back(scan_.capture(p));
  }

  // The part of the biases that may be added to the inputs' products.
  ValueId input_bias(RecurrentMath& m, const std::vector<ValueId>& biases) {
    if (!cell_.is_linear_gru()) return m.plus(biases[0], biases[1]);
    std::vector<ValueId> recurrent = m.split(biases[1], 0, 3);
    reset_bias_ = recurrent[2];
    ValueId zeros = outer_.zeros_like(recurrent[2]);
    return m.plus(biases[0], m.concat({recurrent[0], recurrent[1], zeros}, 0));
  }

  ScanStep rnn() {
    RecurrentMath m{scan_.body()};
    ValueId x = m.plus(inputs_, m.product(h_, r_));
    return {.h = m.activate(cell_, cell_.f, x), .arguments = {x}};
  }

  ScanStep lstm() {
    RecurrentMath m{scan_.body()};
    std::vector<ValueId> x = m.split(m.plus(inputs_, m.product(h_, r_)), 1, 4);
    auto peep = [&](size_t gate, ValueId c) {
      if (!peepholes_.empty()) x[gate] = m.plus(x[gate], m.mul(peepholes_[gate], c));
    };
    peep(0, c_);
    peep(2, c_);
    ValueId i = m.activate(cell_, cell_.f, x[0]);
    ValueId f = cell_.coupled ? m.one_minus(i) : m.activate(cell_, cell_.f, x[2]);
    ValueId g = m.activate(cell_, cell_.g, x[3]);
    ValueId c = m.plus(m.mul(f, c_), m.mul(i, g));
    peep(1, c);
    ValueId o = m.activate(cell_, cell_.f, x[1]);
    ValueId h = m.mul(o, m.activate(cell_, cell_.h, c, false));
    return {h, c, {i, o, f, g}, x};
  }

  ScanStep gru() {
    RecurrentMath m{scan_.body()};
    std::vector<ValueId> x = m.split(inputs_, 1, 3), r = m.split(r_, 1, 3);
    for (size_t gate : {0, 1}) x[gate] = m.plus(x[gate], m.product(h_, r[gate]));
    ValueId z = m.activate(cell_, cell_.f, x[0]), reset = m.activate(cell_, cell_.f, x[1]);
    std::vector<ValueId> gates = {z, reset};
    if (cell_.linear_before_reset) {
      ValueId q = m.product(h_, r[2]);
      if (reset_bias_ != no_value) q = m.plus(q, scan_.capture(reset_bias_));
      x[2] = m.plus(x[2], m.mul(reset, q));
      gates.push_back(q);
    } else {
      x[2] = m.plus(x[2], m.product(m.mul(reset, h_), r[2]));
    }
    ValueId n = m.activate(cell_, cell_.g, x[2]);
    gates.push_back(n);
    ValueId h = m.plus(m.mul(m.one_minus(z), n), m.mul(z, h_));
    return {.h = h, .gates = gates, .arguments = x};
  }

  GraphBuilder& outer_;
  RecurrentDirection& in_;
  const Cell& cell_;
  ScanBuilder scan_;
  ValueId h_ = no_value, c_ = no_value, inputs_ = no_value, live_ = no_value, r_ = no_value;
  ValueId reset_bias_ = no_value;
  std::vector<ValueId> peepholes_;
};

}  // namespace

void decompose_recurrent_forward(DecomposeContext& d, const RecurrentAttributes& a) {
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < d.num_inputs(); ++i) inputs.push_back(d.input(i));
  std::array<bool, ForwardOut::Count> wanted;
  for (size_t i = 0; i < ForwardOut::Count; ++i) wanted[i] = d.has_output(i);
  std::vector<ForwardResults> directions;
  for (int64_t k = 0; k < a.directions(); ++k) {
    RecurrentDirection direction(d.builder(), a, inputs, k);
    directions.push_back(ForwardScan(d.builder(), direction).run(wanted));
  }
  for (size_t i = 0; i < ForwardOut::Count; ++i) {
    if (!wanted[i]) continue;
    std::vector<ValueId> parts;
    for (const ForwardResults& r : directions) parts.push_back(r[i]);
    d.set(i, join_directions(d.builder(), parts, i == ForwardOut::Y ? 1 : 0));
  }
}

}  // namespace onnxrun
