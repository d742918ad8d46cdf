// RNN, GRU, LSTM: recurrent layers over a sequence, in one direction or both.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "graph/cost.h"
#include "graph/gradient_context.h"
#include "graph/upgrade_context.h"
#include "recurrent_family.h"

namespace onnxrun {

std::string_view to_string(CellKind kind) {
  constexpr std::string_view names[] = {"RNN", "GRU", "LSTM"};
  return names[static_cast<size_t>(kind)];
}

static CellKind cell_kind(std::string_view name) {
  for (CellKind kind : {CellKind::RNN, CellKind::GRU, CellKind::LSTM}) {
    if (name == to_string(kind)) return kind;
  }
  fail(ErrorKind::BadModel, "cell is '{}', expected 'RNN', 'GRU' or 'LSTM'", name);
}

void RecurrentAttributes::visit_common(AttributeVisitor& v) {
  v.visit("activation_alpha", activation_alpha, "alpha of the activations that have one, in order");
  v.visit("activation_beta", activation_beta, "beta of the activations that have one, in order");
  v.visit("activations", activations, "functions of each direction; sigmoid and tanh if empty");
  v.visit("clip", clip, "bound of the gates' arguments; none if empty");
  v.visit("direction", direction, "forward, reverse or bidirectional");
}

void RecurrentAttributes::visit(AttributeVisitor& v, bool with_layout) {
  visit_common(v);
  v.visit("hidden_size", hidden_size, "length of the state; that of R if empty");
  if (kind == CellKind::LSTM) v.visit("input_forget", input_forget, "the forget gate is 1 - i");
  if (with_layout) v.visit("layout", layout, "the batch is the first axis, not the second");
  if (kind == CellKind::GRU) {
    v.visit("linear_before_reset", linear_before_reset, "reset R h + Rb instead of h");
  }
}

void RecurrentAttributes::visit_private(AttributeVisitor& v) {
  std::string cell(to_string(kind));
  v.visit("cell", cell, "RNN, GRU or LSTM");
  kind = cell_kind(cell);
  visit_common(v);
  v.visit("input_forget", input_forget, "LSTM: the forget gate is 1 - i");
  v.visit("linear_before_reset", linear_before_reset, "GRU: reset R h + Rb instead of h");
}

Attributes RecurrentAttributes::to_private() const {
  Attributes a = {{"cell", std::string(to_string(kind))},
                  {"activation_alpha", activation_alpha},
                  {"activation_beta", activation_beta},
                  {"direction", direction},
                  {"input_forget", int64_t{input_forget}},
                  {"linear_before_reset", int64_t{linear_before_reset}}};
  if (activations) a["activations"] = *activations;
  if (clip) a["clip"] = *clip;
  return a;
}

namespace {

struct ActivationInfo {
  std::string_view name;
  bool has_alpha, has_beta;
  float alpha, beta;  // defaults
};

// In the order of ActivationKind.
constexpr ActivationInfo activation_table[] = {
    {"Tanh", false, false, 0, 0},         {"Sigmoid", false, false, 0, 0},
    {"Relu", false, false, 0, 0},         {"Affine", true, true, 1, 0},
    {"LeakyRelu", true, false, 0.01f, 0}, {"ThresholdedRelu", true, false, 1, 0},
    {"ScaledTanh", true, true, 1, 1},     {"HardSigmoid", true, true, 0.2f, 0.5f},
    {"Elu", true, false, 1, 0},           {"Softsign", false, false, 0, 0},
    {"Softplus", false, false, 0, 0},
};

// Takes the values of alpha and beta one by one, as functions that have them come along.
class ActivationReader {
 public:
  explicit ActivationReader(const RecurrentAttributes& a) : a_(a) {}

  Activation read(std::string_view name) {
    auto same_letter = [](char x, char y) { return std::tolower(x) == std::tolower(y); };
    for (size_t k = 0; k < std::size(activation_table); ++k) {
      const ActivationInfo& info = activation_table[k];
      if (!std::equal(name.begin(), name.end(), info.name.begin(), info.name.end(), same_letter)) {
        continue;
      }
      Activation result{static_cast<ActivationKind>(k), info.alpha, info.beta};
      if (info.has_alpha) take(a_.activation_alpha, alphas_, result.alpha);
      if (info.has_beta) take(a_.activation_beta, betas_, result.beta);
      return result;
    }
    fail(ErrorKind::BadModel,
         "activation '{}' is not one of the standard's: Relu, Tanh, Sigmoid, "
         "Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus",
         name);
  }

 private:
  static void take(const std::vector<float>& values, size_t& at, float& value) {
    if (at < values.size()) value = values[at++];
  }

  const RecurrentAttributes& a_;
  size_t alphas_ = 0, betas_ = 0;
};

std::vector<std::string> names_of(const RecurrentAttributes& a) {
  size_t each = a.kind == CellKind::RNN ? 1 : a.kind == CellKind::GRU ? 2 : 3;
  size_t count = each * static_cast<size_t>(a.directions());
  if (!a.activations) {
    std::vector<std::string> names;
    for (size_t k = 0; k < count; ++k) {
      names.push_back(k % each == 0 && a.kind != CellKind::RNN ? "Sigmoid" : "Tanh");
    }
    return names;
  }
  // The default that the standard gives for RNN has two whatever the direction.
  bool fits =
      a.activations->size() == count || (a.kind == CellKind::RNN && a.activations->size() == 2);
  if (!fits) {
    fail(ErrorKind::BadModel, "{} activations for direction '{}', expected {}",
         a.activations->size(), a.direction, count);
  }
  return *a.activations;
}

}  // namespace

std::vector<Cell> RecurrentAttributes::cells() const {
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    fail(ErrorKind::BadModel, "direction is '{}', expected forward, reverse or bidirectional",
         direction);
  }
  if (clip && !(*clip >= 0)) fail(ErrorKind::BadModel, "clip is {}, expected at least 0", *clip);
  std::vector<std::string> names = names_of(*this);
  ActivationReader reader(*this);
  std::vector<Cell> cells(static_cast<size_t>(directions()));
  size_t at = 0;
  for (Cell& cell : cells) {
    cell.kind = kind;
    cell.clips = clip.has_value();
    cell.clip = clip.value_or(0);
    cell.coupled = input_forget;
    cell.linear_before_reset = linear_before_reset;
    cell.f = reader.read(names[at++]);
    if (kind != CellKind::RNN) cell.g = reader.read(names[at++]);
    if (kind == CellKind::LSTM) cell.h = reader.read(names[at++]);
  }
  return cells;
}

bool RecurrentAttributes::keeps_arguments() const {
  if (clip) return true;
  for (const Cell& cell : cells()) {
    if (needs_argument(cell.f) || (kind != CellKind::RNN && needs_argument(cell.g))) return true;
  }
  return false;
}

namespace {

// Holds the inputs' lengths to each other.
class DimMatcher {
 public:
  explicit DimMatcher(InferContext& c) : c_(c) {}

  // Input i, if its shape is known, must have these lengths, of which unknown ones are learned.
  void match(size_t i, std::initializer_list<Dim*> expected) {
    if (!c_.has_input(i) || !c_.shape(i)) return;
    const Shape& shape = *c_.shape(i);
    bool fits = shape.size() == expected.size();
    for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
      Dim& known = **(expected.begin() + axis);
      fits = !(known.is_known() && shape[axis].is_known()) || known == shape[axis];
      if (!known.is_known() && !shape[axis].is_unknown() &&
          (known.is_unknown() || shape[axis].is_known())) {
        known = shape[axis];
      }
    }
    if (fits) return;
    Shape wanted;
    for (Dim* d : expected) wanted.push_back(*d);
    c_.reject("{}, expected {}", c_.describe_input(i), onnxrun::to_string(wanted));
  }

 private:
  InferContext& c_;
};

void match_scaled(DimMatcher& m, size_t i, Dim directions, int64_t factor, const Dim& hidden,
                  Dim* last = nullptr) {
  Dim rows = hidden * Dim(factor);
  if (last) {
    m.match(i, {&directions, &rows, last});
  } else {
    m.match(i, {&directions, &rows});
  }
}

}  // namespace

RecurrentDims infer_recurrent(InferContext& c, const RecurrentAttributes& a) {
  using In = RecurrentInput;
  a.cells();
  RecurrentDims d;
  if (a.hidden_size) {
    if (*a.hidden_size <= 0) c.reject("hidden_size is {}, expected at least 1", *a.hidden_size);
    d.hidden = *a.hidden_size;
  }
  DimMatcher m(c);
  Dim directions = a.directions();
  a.layout ? m.match(In::X, {&d.batch, &d.steps, &d.inputs})
           : m.match(In::X, {&d.steps, &d.batch, &d.inputs});
  int64_t gates = Cell{.kind = a.kind}.gates();
  Dim rows;
  m.match(In::R, {&directions, &rows, &d.hidden});
  match_scaled(m, In::R, directions, gates, d.hidden, &d.hidden);
  match_scaled(m, In::W, directions, gates, d.hidden, &d.inputs);
  match_scaled(m, In::B, directions, 2 * gates, d.hidden);
  m.match(In::Lengths, {&d.batch});
  for (size_t i : {In::InitialH, In::InitialC}) {
    a.layout ? m.match(i, {&d.batch, &directions, &d.hidden})
             : m.match(i, {&directions, &d.batch, &d.hidden});
  }
  match_scaled(m, In::P, directions, 3, d.hidden);
  return d;
}

Shape state_shape(const RecurrentAttributes& a, const RecurrentDims& d) {
  Dim directions = a.directions();
  return a.layout ? Shape{d.batch, directions, d.hidden} : Shape{directions, d.batch, d.hidden};
}

RecurrentProblem recurrent_problem(const RecurrentAttributes& a, const Tensor& x, const Tensor& r) {
  RecurrentProblem p;
  p.steps = x.dim(a.layout ? 1 : 0);
  p.batch = x.dim(a.layout ? 0 : 1);
  p.inputs = x.dim(2);
  p.hidden = r.dim(2);
  p.directions = a.directions();
  p.reverse = a.direction == "reverse";
  p.batch_first = a.layout;
  std::vector<Cell> cells = a.cells();
  for (size_t d = 0; d < cells.size(); ++d) {
    p.cells[d] = cells[d];
    p.cells[d].hidden = p.hidden;
  }
  return p;
}

const int32_t* checked_lengths(const RunContext& c, int64_t steps) {
  if (!c.has_input(RecurrentInput::Lengths)) return nullptr;
  const Tensor& lengths = c.input(RecurrentInput::Lengths);
  for (int32_t n : lengths.span<int32_t>()) {
    if (n < 0 || n > steps) {
      fail(ErrorKind::BadInput, "sequence_lens has {}, expected lengths from 0 to {}", n, steps);
    }
  }
  return lengths.data<int32_t>();
}

namespace {

using In = RecurrentInput;

struct RecurrentState final : KernelState {
  std::string_view kernel() const override { return name; }

  RecurrentProblem problem;
  std::string_view name;
  Tensor packed;  // R, if it is constant

  template <typename C>
  const C* packed_or_null() const {
    return packed.defined() ? packed.data<C>() : nullptr;
  }
};

class Recurrent final : public Op {
 public:
  explicit Recurrent(CellKind kind) : a_(kind) {}

  void attributes(AttributeVisitor& v) override { a_.visit(v); }

  // X [sequence, batch, inputs] (batch first with layout 1), W [directions, gates * hidden,
  // inputs], R [directions, gates * hidden, hidden].
  Count operations(const CostContext& c) const override {
    return 2 * c.length(0, 0) * c.length(0, 1) * (c.elements(1) + c.elements(2));
  }
  WeightAxes weight_axes(size_t input, size_t rank) const override {
    return input <= 2 ? WeightAxes{.in = 2, .out = 1, .field = 3} : Op::weight_axes(input, rank);
  }

  void infer(InferContext& c) const override {
    RecurrentDims d = infer_recurrent(c, a_);
    Dim directions = a_.directions();
    c.set_output(0, c.dtype(0),
                 a_.layout ? Shape{d.batch, d.steps, directions, d.hidden}
                           : Shape{d.steps, directions, d.batch, d.hidden});
    for (size_t i = 1; i < c.num_outputs(); ++i) c.set_output(i, c.dtype(0), state_shape(a_, d));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<RecurrentState>();
    state->problem = recurrent_problem(a_, c.input(In::X), c.input(In::R));
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      if (const Tensor* r = c.constant(In::R)) {
        // A GRU's gates are multiplied together or not.
        const bool apart = state->problem.cell().has_second_product();
        state->packed = c.packed(In::R, apart ? "R of two products" : "R", [&] {
          Tensor packed(dtype_of<C>, {packed_recurrence<C>(state->problem)});
          pack_recurrence(state->problem, ComputeInput<T>(*r).data(), packed.template data<C>());
          return packed;
        });
      }
      RecurrentForward<C> arrays;
      arrays.r_packed = state->packed_or_null<C>();
      state->name = recurrence_kernel(state->problem, arrays.r_packed != nullptr).name;
      ScratchLayout layout;
      recurrent_forward(state->problem, arrays, layout);
      c.request_scratch(layout.bytes());
    });
    return state;
  }

  void run(RunContext& c) const override {
    dispatch_float(c.input(In::X).dtype(), [&]<typename T>() { run_as<T>(c); });
  }

  // To the private operator, which keeps what the backward pass needs and has no layout 1.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < d.num_inputs(); ++i) inputs.push_back(d.input(i));
    if (a_.layout) {
      for (size_t i : {In::X, In::InitialH, In::InitialC}) {
        if (d.has_input(i)) inputs[i] = b.transpose(inputs[i], {1, 0, 2});
      }
    }
    std::vector<ValueId> outputs =
        b.add_n("onnxrun.RecurrentForward", inputs, 6, {.attributes = a_.to_private()});
    for (size_t i = 0; i < (a_.kind == CellKind::LSTM ? 3 : 2); ++i) {
      if (!d.has_output(i)) continue;
      ValueId v = outputs[i];
      if (a_.layout) v = i == 0 ? b.transpose(v, {2, 0, 1, 3}) : b.transpose(v, {1, 0, 2});
      d.set(i, v);
    }
    drop_unused(b.graph(), outputs);
  }

 private:
  void drop_unused(Graph& graph, const std::vector<ValueId>& outputs) const {
    bool is_lstm = a_.kind == CellKind::LSTM;
    const bool kept[] = {
        true, true, is_lstm, a_.kind != CellKind::RNN, is_lstm, a_.keeps_arguments()};
    for (Node& node : graph.nodes) {
      if (node.outputs != outputs) continue;
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (!kept[i]) node.outputs[i] = no_value;
      }
    }
  }

  template <typename T>
  void run_as(RunContext& c) const {
    using C = ComputeType<T>;
    const auto& state = c.state<RecurrentState>();
    const RecurrentInputs<T> in(c);
    ComputeOutputs<T, 3> out(c);
    ScratchLayout scratch(c.scratch());
    RecurrentForward<C> arrays = in.arrays(c, state.problem.steps);
    arrays.r_packed = state.template packed_or_null<C>();
    arrays.y = out[0];
    arrays.y_h = out[1];
    arrays.y_c = out[2];
    recurrent_forward(state.problem, arrays, scratch);
    out.store();
  }

  RecurrentAttributes a_;
};

// Opset 1 said whether Y is wanted, which its presence says too.
void upgrade_recurrent(UpgradeContext& u) { u.take<int64_t>("output_sequence"); }

void add_recurrent(OpRegistry& r, CellKind kind, std::string_view doc, std::vector<int> since) {
  using enum Param::Kind;
  OpSpec spec = {.name = to_string(kind),
                 .doc = doc,
                 .since = std::move(since),
                 .inputs = {{"X", "T"},
                            {"W", "T", InputRole::Weight},
                            {"R", "T", InputRole::Weight},
                            {"B", "T", Optional, InputRole::Bias},
                            {"sequence_lens", "T1", Optional, InputRole::Setting},
                            {"initial_h", "T", Optional, InputRole::State}},
                 .outputs = {{"Y", "T", Optional}, {"Y_h", "T", Optional}},
                 .types = {{"T", dtypes::floats}, {"T1", DType::Int32}},
                 .gradient = GradientState::Decompose,
                 .decomposes = true,
                 .upgrade = upgrade_recurrent};
  if (kind == CellKind::LSTM) {
    spec.inputs.push_back({"initial_c", "T", Optional, InputRole::State});
    spec.inputs.push_back({"P", "T", Optional, InputRole::Weight});
    spec.outputs.push_back({"Y_c", "T", Optional});
  }
  r.add(std::move(spec), [kind] { return std::make_shared<Recurrent>(kind); });
}

}  // namespace

void register_recurrent(OpRegistry& r) {
  add_recurrent(r, CellKind::RNN, "a simple recurrent layer", {1, 7, 14, 22});
  add_recurrent(r, CellKind::GRU, "a layer of gated recurrent units", {1, 3, 7, 14, 22});
  add_recurrent(r, CellKind::LSTM, "a layer of long short-term memory cells", {1, 7, 14, 22});
}

}  // namespace onnxrun
