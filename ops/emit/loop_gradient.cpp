#include "emit/loop_gradient.h"

#include "base/error.h"
#include "emit/reverse_body.h"
#include "graph/inline_graph.h"

namespace onnxrun {

namespace {

class LoopGradient {
 public:
  explicit LoopGradient(GradientContext& g)
      : g_(g),
        b_(g.builder()),
        node_(g.node()),
        carried_(g.num_inputs() < 2 ? 0 : g.num_inputs() - 2) {}

  void run() {
    choose();
    BodyGradient inner = differentiate_body();
    keep_states(inner.reads);
    emit_reverse(inner.graph);
  }

 private:
  const Graph& body() const { return node_.bodies[0]; }
  const Type& carried_type(size_t k) const { return body().value(body().inputs[2 + k]).type; }

  void choose() {
    for (size_t k = 0; k < carried_; ++k) {
      if (carries_gradient(carried_type(k))) state_.push_back(k);
    }
    for (size_t s = carried_; s < g_.num_outputs(); ++s) {
      if (g_.has_grad(s)) scans_.push_back(s);
    }
    for (size_t j = 0; j < static_cast<size_t>(node_.captures); ++j) {
      if (g_.wants(g_.num_inputs() + j)) captures_.push_back(j);
    }
  }

  BodyGradient differentiate_body() {
    std::vector<size_t> seeded, wanted;
    std::vector<Type> types;
    auto seed = [&](size_t output) {
      seeded.push_back(output);
      types.push_back(body().value(body().outputs[output]).type);
    };
    for (size_t k : state_) seed(1 + k);
    for (size_t s : scans_) seed(1 + s);
    for (size_t k : state_) wanted.push_back(2 + k);
    for (size_t j : captures_) wanted.push_back(2 + carried_ + j);
    return body_gradient(body(), seeded, types, wanted);
  }

  // Adds to the forward Loop what the reverse one reads: the iterations that ran, and the carried
  // values each began with.
  void keep_states(const std::vector<bool>& reads) {
    kept_.assign(carried_, no_value);
    in_sequence_.assign(carried_, false);
    Graph& graph = b_.graph();
    for (size_t k = 0; k < carried_; ++k) {
      if (reads[2 + k] && !same_shape_always(carried_type(k))) keep_in_sequence(k);
    }
    Node& forward = original_node(g_);
    Graph& inner = forward.bodies[0];
    auto stack = [&](ValueId v, const std::string& name) {
      GraphBuilder builder(inner, "keep/");
      inner.outputs.push_back(own_value(builder, v));
      ValueId out = graph.add_value(graph.unique_name(name));
      forward.outputs.push_back(out);
      return out;
    };
    ValueId iterations = stack(inner.inputs[0], "iterations");
    for (size_t k = 0; k < carried_; ++k) {
      if (reads[2 + k] && !in_sequence_[k]) kept_[k] = stack(inner.inputs[2 + k], "kept");
    }
    infer_node(graph, forward);
    count_ = b_.add("Size", {iterations});
  }

  // One more carried value: the sequence of entry states, empty before the first iteration.
  void keep_in_sequence(size_t k) {
    Graph& graph = b_.graph();
    const Type type = carried_type(k);
    if (!type.is_tensor()) {
      fail(ErrorKind::Unsupported, "the gradient needs carried value {} ({}) of every iteration", k,
           type.to_string());
    }
    in_sequence_[k] = true;
    ValueId empty = b_.add("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(type.dtype)}});
    // The Loop reads it, so it must come before.
    Node made = std::move(graph.nodes.back());
    graph.nodes.pop_back();
    auto at = static_cast<std::ptrdiff_t>(&original_node(g_) - graph.nodes.data());
    graph.nodes.insert(graph.nodes.begin() + at, std::move(made));
    Node& forward = graph.nodes[static_cast<size_t>(at) + 1];
    Graph& inner = forward.bodies[0];
    size_t place =
        inner.inputs.size() - static_cast<size_t>(forward.captures);  // behind the carried values
    ValueId in = inner.add_value(inner.unique_name("entries"), Type::sequence(type));
    inner.inputs.insert(inner.inputs.begin() + static_cast<std::ptrdiff_t>(place), in);
    GraphBuilder builder(inner, "keep/");
    ValueId out = builder.add("SequenceInsert", {in, inner.inputs[2 + k]});
    inner.outputs.insert(inner.outputs.begin() + static_cast<std::ptrdiff_t>(place) - 1, out);
    forward.inputs.insert(forward.inputs.begin() + static_cast<std::ptrdiff_t>(place), empty);
    kept_[k] = graph.add_value(graph.unique_name("kept"));
    forward.outputs.insert(forward.outputs.begin() + static_cast<std::ptrdiff_t>(place) - 2,
                           kept_[k]);
  }

  // What flows into carried value k from behind the Loop.
  ValueId final_cotangent(size_t k) {
    return g_.has_output(k) ? g_.grad(k) : zeros_like_output(g_, k);
  }

  void emit_reverse(const Graph& inner) {
    Graph reverse(b_.graph().registry());
    ValueId j = reverse.add_input("iteration", Type::tensor(DType::Int64, Shape{}));
    ValueId cond = reverse.add_input("condition", Type::tensor(DType::Bool, Shape{}));
    std::vector<ValueId> initial, flowing;
    auto carry = [&](ValueId start) {
      initial.push_back(start);
      flowing.push_back(reverse.add_input(reverse.unique_name("flowing"), b_.type(start)));
    };
    for (size_t k : state_) carry(final_cotangent(k));
    for (size_t c : captures_) carry(b_.zeros_like(node_.inputs[g_.num_inputs() + c]));
    Captures captured(reverse, b_);
    GraphBuilder rb(reverse, "reverse/");
    ValueId t = rb.add("Sub", {rb.add("Sub", {captured.of(count_), j}), rb.int_scalar(1)});
    std::vector<ValueId> inputs = {t, rb.constant(Tensor::scalar<bool>(true))};
    for (size_t k = 0; k < carried_; ++k) inputs.push_back(entry_state(rb, captured, k, t));
    for (size_t i = g_.num_inputs(); i < node_.inputs.size(); ++i)
      inputs.push_back(captured.of(node_.inputs[i]));
    for (size_t i = 0; i < state_.size(); ++i) inputs.push_back(flowing[i]);
    for (size_t s : scans_) {
      inputs.push_back(rb.add("Gather", {captured.of(g_.grad(s)), t}, {{"axis", int64_t{0}}}));
    }
    std::vector<ValueId> gradients = inline_graph(rb, inner, inputs);
    for (size_t i = state_.size(); i < gradients.size(); ++i) {
      gradients[i] = add_cotangents(rb, flowing[i], gradients[i]);
    }
    reverse.outputs = {own_value(rb, cond)};
    for (ValueId v : gradients) reverse.outputs.push_back(v);
    add_reverse_loop(std::move(reverse), captured, initial);
  }

  ValueId entry_state(GraphBuilder& rb, Captures& captured, size_t k, ValueId t) {
    if (kept_[k] == no_value) return no_value;
    ValueId kept = captured.of(kept_[k]);
    if (in_sequence_[k]) return rb.add("SequenceAt", {kept, t});
    return rb.add("Gather", {kept, t}, {{"axis", int64_t{0}}});
  }

  void add_reverse_loop(Graph reverse, const Captures& captured,
                        const std::vector<ValueId>& initial) {
    NodeOptions options;
    options.captures = captured.values();
    options.bodies.push_back(std::move(reverse));
    std::vector<ValueId> inputs = {count_, no_value};
    inputs.insert(inputs.end(), initial.begin(), initial.end());
    std::vector<ValueId> results = b_.add_n("Loop", inputs, initial.size(), std::move(options));
    for (size_t i = 0; i < state_.size(); ++i) g_.set(2 + state_[i], results[i]);
    for (size_t i = 0; i < captures_.size(); ++i) {
      g_.set(g_.num_inputs() + captures_[i], results[state_.size() + i]);
    }
  }

  GradientContext& g_;
  GraphBuilder& b_;
  const Node& node_;
  size_t carried_;
  std::vector<size_t> state_, scans_, captures_;
  std::vector<ValueId> kept_;
  std::vector<bool> in_sequence_;
  ValueId count_ = no_value;
};

}  // namespace

void loop_gradient(GradientContext& g) { LoopGradient(g).run(); }

}  // namespace onnxrun
