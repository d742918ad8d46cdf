#include "emit/scan_gradient.h"

#include "base/error.h"
#include "emit/reverse_body.h"
#include "graph/inline_graph.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

using Ints = std::vector<int64_t>;

class ScanGradient {
 public:
  explicit ScanGradient(GradientContext& g)
      : g_(g),
        b_(g.builder()),
        node_(g.node()),
        attributes_(attributes_of(node_)),
        scans_in_(static_cast<size_t>(std::get<int64_t>(attributes_.at("num_scan_inputs")))),
        states_(g.num_inputs() - scans_in_),
        scans_out_(g.num_outputs() - states_) {}

  void run() {
    choose();
    BodyGradient inner = differentiate_body();
    keep_states(inner.reads);
    emit_reverse(inner);
  }

 private:
  const Graph& body() const { return node_.bodies[0]; }
  const Type& input_type(size_t i) const { return body().value(body().inputs[i]).type; }

  Ints list(const std::string& name, size_t count) const {
    auto it = attributes_.find(name);
    Ints values = it == attributes_.end() ? Ints() : std::get<Ints>(it->second);
    values.resize(count, 0);
    return values;
  }

  void choose() {
    for (size_t i = 0; i < states_; ++i) {
      if (carries_gradient(input_type(i))) state_.push_back(i);
    }
    for (size_t i = states_; i < g_.num_inputs(); ++i) {
      if (g_.wants(i)) wanted_scans_.push_back(i);
    }
    for (size_t s = states_; s < g_.num_outputs(); ++s) {
      if (g_.has_grad(s)) seeded_scans_.push_back(s);
    }
    for (size_t i = g_.num_inputs(); i < node_.inputs.size(); ++i) {
      if (g_.wants(i)) captures_.push_back(i);
    }
  }

  BodyGradient differentiate_body() {
    std::vector<size_t> seeded = state_, wanted = state_;
    seeded.insert(seeded.end(), seeded_scans_.begin(), seeded_scans_.end());
    wanted.insert(wanted.end(), wanted_scans_.begin(), wanted_scans_.end());
    wanted.insert(wanted.end(), captures_.begin(), captures_.end());
    std::vector<Type> types;
    for (size_t k : seeded) types.push_back(body().value(body().outputs[k]).type);
    return body_gradient(body(), seeded, types, wanted);
  }

  // Scan states keep their shape, so what each iteration began with stacks on axis 0 in the order
  // of the iterations.
  void keep_states(const std::vector<bool>& reads) {
    kept_.assign(states_, no_value);
    Graph& graph = b_.graph();
    Node& forward = original_node(g_);
    Graph& inner = forward.bodies[0];
    size_t added = 0;
    for (size_t i = 0; i < states_; ++i) {
      if (!reads[i]) continue;
      GraphBuilder builder(inner, "keep/");
      inner.outputs.push_back(own_value(builder, inner.inputs[i]));
      kept_[i] = graph.add_value(graph.unique_name("kept"));
      forward.outputs.push_back(kept_[i]);
      ++added;
    }
    Attributes extended = attributes_;
    extended["scan_output_axes"] = list("scan_output_axes", scans_out_ + added);
    extended["scan_output_directions"] = list("scan_output_directions", scans_out_ + added);
    set_attributes(forward, extended);
    infer_node(graph, forward);
  }

  // What flows into state i from behind the Scan.
  ValueId final_cotangent(size_t i) {
    return g_.has_output(i) ? g_.grad(i) : zeros_like_output(g_, i);
  }

  // One input of the reverse Scan: what to scan, along which axis, in which direction.
  void scan(ValueId v, int64_t axis, bool from_end) {
    sources_.push_back(v);
    axes_.push_back(axis);
    directions_.push_back(from_end ? 1 : 0);
  }

  void emit_reverse(const BodyGradient& inner) {
    Graph reverse(b_.graph().registry());
    GraphBuilder rb(reverse, "reverse/");
    std::vector<ValueId> initial, flowing;
    auto carry = [&](ValueId start, Type type) {
      initial.push_back(start);
      flowing.push_back(reverse.add_input(reverse.unique_name("flowing"), std::move(type)));
    };
    for (size_t i : state_) carry(final_cotangent(i), input_type(i));
    for (size_t i : captures_) carry(b_.zeros_like(node_.inputs[i]), b_.type(node_.inputs[i]));
    auto slice = [&](const Type& type) {
      return reverse.add_input(reverse.unique_name("slice"), type);
    };
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < states_; ++i) {
      if (kept_[i] != no_value) scan(kept_[i], 0, true);
      inputs.push_back(kept_[i] == no_value ? no_value : slice(input_type(i)));
    }
    Ints in_axes = list("scan_input_axes", scans_in_),
         in_directions = list("scan_input_directions", scans_in_);
    for (size_t i = 0; i < scans_in_; ++i) {
      scan(node_.inputs[states_ + i], in_axes[i], in_directions[i] == 0);
      inputs.push_back(slice(input_type(states_ + i)));
    }
    Ints out_axes = list("scan_output_axes", scans_out_),
         out_directions = list("scan_output_directions", scans_out_);
    std::vector<ValueId> cotangents(flowing.begin(),
                                    flowing.begin() + static_cast<std::ptrdiff_t>(state_.size()));
    for (size_t s : seeded_scans_) {
      scan(g_.grad(s), out_axes[s - states_], out_directions[s - states_] == 0);
      cotangents.push_back(slice(body().value(body().outputs[s]).type));
    }
    Captures captured(reverse, b_);
    for (size_t i = g_.num_inputs(); i < node_.inputs.size(); ++i)
      inputs.push_back(captured.of(node_.inputs[i]));
    inputs.insert(inputs.end(), cotangents.begin(), cotangents.end());
    std::vector<ValueId> gradients = inline_graph(rb, inner.graph, inputs);
    size_t scans = wanted_scans_.size(), first_scan = state_.size();
    for (size_t i = 0; i < state_.size(); ++i) reverse.outputs.push_back(gradients[i]);
    for (size_t i = 0; i < captures_.size(); ++i) {
      reverse.outputs.push_back(
          add_cotangents(rb, flowing[state_.size() + i], gradients[first_scan + scans + i]));
    }
    for (size_t i = 0; i < scans; ++i) reverse.outputs.push_back(gradients[first_scan + i]);
    add_reverse_scan(std::move(reverse), captured, initial, in_axes, in_directions);
  }

  void add_reverse_scan(Graph reverse, const Captures& captured,
                        const std::vector<ValueId>& initial, const Ints& in_axes,
                        const Ints& in_directions) {
    NodeOptions options;
    options.captures = captured.values();
    options.bodies.push_back(std::move(reverse));
    Ints out_axes, out_directions;
    for (size_t i : wanted_scans_) {
      out_axes.push_back(in_axes[i - states_]);
      out_directions.push_back(in_directions[i - states_] == 0 ? 1 : 0);
    }
    options.attributes = {{"num_scan_inputs", static_cast<int64_t>(sources_.size())},
                          {"scan_input_axes", axes_},
                          {"scan_input_directions", directions_},
                          {"scan_output_axes", out_axes},
                          {"scan_output_directions", out_directions}};
    std::vector<ValueId> inputs = initial;
    inputs.insert(inputs.end(), sources_.begin(), sources_.end());
    size_t count = initial.size() + wanted_scans_.size();
    std::vector<ValueId> results = b_.add_n("Scan", inputs, count, std::move(options));
    for (size_t i = 0; i < state_.size(); ++i) g_.set(state_[i], results[i]);
    for (size_t i = 0; i < captures_.size(); ++i) g_.set(captures_[i], results[state_.size() + i]);
    for (size_t i = 0; i < wanted_scans_.size(); ++i)
      g_.set(wanted_scans_[i], results[initial.size() + i]);
  }

  GradientContext& g_;
  GraphBuilder& b_;
  const Node& node_;
  Attributes attributes_;
  size_t scans_in_, states_, scans_out_;
  std::vector<size_t> state_, wanted_scans_, seeded_scans_, captures_;
  std::vector<ValueId> kept_;
  std::vector<ValueId> sources_;
  Ints axes_, directions_;
};

}  // namespace

void scan_gradient(GradientContext& g) { ScanGradient(g).run(); }

}  // namespace onnxrun
