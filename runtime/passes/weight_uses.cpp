#include "passes/weight_uses.h"

#include <algorithm>

namespace onnxrun {

namespace {

// What is known of how a value was computed.
struct Origin {
  bool reduced = false;   // from a sum or mean over axes, not yet under a root
  bool spread = false;    // from the root of one: what a norm that is written out divides by
  bool product = false;   // from a product with a weight or a norm, or what was folded behind it
  bool channels = false;  // the same, with activations between: a norm after one stays behind it
  bool weight = false;    // a stored tensor, perhaps moved
};

// The uses of one graph's values. Origins are found from the first node to the last, uses from the
// last to the first, so each node is looked at twice.
class Uses {
 public:
  Uses(const Graph& graph, bool is_body)
      : graph_(graph),
        origins_(graph.value_count()),
        uses_(graph.value_count()),
        producers_(graph.producers()),
        readers_(graph.value_count()) {
    for (const auto& [id, init] : graph.initializers) origin(id).weight = true;
    // Inside a body a weight may come from outside.
    for (ValueId v : graph.inputs) origin(v).weight = is_body;
    for (const Node& node : graph.nodes) {
      for (ValueId v : node.inputs) {
        if (v != no_value) readers_[static_cast<size_t>(v)].push_back(&node);
      }
    }
  }

  std::vector<WeightUse> find() {
    for (const Node& node : graph_.nodes) trace(node);
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      std::vector<std::vector<WeightUse>> inner;
      for (const Graph& body : node->bodies) inner.push_back(Uses(body, true).find());
      for (size_t i = node->inputs.size(); i-- > 0;) {
        if (node->inputs[i] != no_value) use(*node, i, inner);
      }
    }
    return std::move(uses_);
  }

 private:
  Origin& origin(ValueId v) { return origins_[static_cast<size_t>(v)]; }
  const Origin& origin(ValueId v) const { return origins_[static_cast<size_t>(v)]; }

  template <typename Has>
  bool any_input(const Node& node, const Has& has) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return v != no_value && has(origin(v)); });
  }

  bool has_constant(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return graph_.initializers.count(v) > 0; });
  }

  void trace(const Node& node) {
    const OpKind kind = node.info->spec.kind;
    Origin result;
    trace_spread(node, kind, result);
    // If all operands of a product are computed, as queries and keys are, what is added to it is a
    // mask.
    bool starts =
        (kind == OpKind::Product && any_input(node, [](const Origin& o) { return o.weight; })) ||
        is_norm(node, kind);
    bool folded = (kind == OpKind::Sum || kind == OpKind::Multiply) && has_constant(node);
    bool passes = kind == OpKind::Move || folded;
    bool acts = kind == OpKind::Activation || kind == OpKind::Extreme;
    result.product =
        starts || (passes && any_input(node, [](const Origin& o) { return o.product; }));
    result.channels =
        starts || ((passes || acts) && any_input(node, [](const Origin& o) { return o.channels; }));
    result.weight = kind == OpKind::Move && !node.inputs.empty() && node.inputs[0] != no_value &&
                    node.info->spec.role_of(0) != InputRole::Table && origin(node.inputs[0]).weight;
    for (ValueId v : node.outputs) {
      if (v != no_value) origin(v) = result;
    }
  }

  void trace_spread(const Node& node, OpKind kind, Origin& result) const {
    bool reduced = any_input(node, [](const Origin& o) { return o.reduced; });
    bool spread = any_input(node, [](const Origin& o) { return o.spread; });
    switch (kind) {
      case OpKind::Norm:
        result.spread = true;
        break;
      case OpKind::Root:
        result.spread = reduced || spread;
        break;
      case OpKind::Reduction:
        result.reduced = true;
        break;
      case OpKind::Sum:
      case OpKind::Multiply:
      case OpKind::Divide:
      case OpKind::Reciprocal:
      case OpKind::Extreme:
      case OpKind::Move:
        result.reduced = reduced;
        result.spread = spread;
        break;
      default:
        break;
    }
  }

  // x / spread, x * (1 / spread), and the operators for it.
  bool is_norm(const Node& node, OpKind kind) const {
    if (kind == OpKind::Normalization) return true;
    if (kind == OpKind::Multiply) return any_input(node, [](const Origin& o) { return o.spread; });
    return kind == OpKind::Divide && node.inputs[1] != no_value && origin(node.inputs[1]).spread;
  }

  void use(const Node& node, size_t i, const std::vector<std::vector<WeightUse>>& inner) {
    const OpSpec& spec = node.info->spec;
    WeightUse& u = uses_[static_cast<size_t>(node.inputs[i])];
    const InputRole role = spec.role_of(i);
    const bool formal = i < node.formal_inputs();
    for (size_t k = 0; k < inner.size(); ++k) {
      if (auto at = inside(node, node.bodies[k], i)) merge(u, inner[k][*at]);
    }
    if (!formal) return;
    if (inner.empty() && spec.kind != OpKind::Move) u.computes |= role != InputRole::Setting;
    if (spec.kind == OpKind::Move && role != InputRole::Setting && role != InputRole::Index) {
      for (ValueId out : node.outputs) {
        if (out != no_value) merge(u, uses_[static_cast<size_t>(out)]);
      }
    }
    if (role == InputRole::Statistic) {
      u.statistic = &node;
      u.statistic_graph = &graph_;
    }
    const bool adds = spec.kind == OpKind::Sum || spec.kind == OpKind::Multiply;
    if (is_learned(role)) {
      found(u, node, i, spec.kind == OpKind::Normalization);
    } else if (adds && beside_product(node, i)) {
      found(u, node, i, true);
    }
  }

  void found(WeightUse& u, const Node& node, size_t i, bool beside) const {
    u.node = &node;
    u.graph = &graph_;
    u.input = i;
    u.beside &= beside;
    u.computes = true;
  }

  // A later use is met first, so that the first is the one that stays.
  static void merge(WeightUse& u, const WeightUse& other) {
    if (other.node) {
      u.node = other.node;
      u.graph = other.graph;
      u.input = other.input;
      u.beside &= other.beside;
    }
    if (other.statistic) {
      u.statistic = other.statistic;
      u.statistic_graph = other.statistic_graph;
    }
    u.computes |= other.computes;
  }

  // Captures come after the formal inputs. Returns the id of the body's value.
  static std::optional<size_t> inside(const Node& node, const Graph& body, size_t i) {
    size_t at = i;
    if (i >= node.formal_inputs()) {
      at = body.inputs.size() - static_cast<size_t>(node.captures) + (i - node.formal_inputs());
    } else if (!node.op->body_layout().takes_inputs) {
      return std::nullopt;
    }
    if (at >= body.inputs.size()) return std::nullopt;
    return static_cast<size_t>(body.inputs[at]);
  }

  // True if another operand of the node comes from a product with a weight, from a norm, or from
  // one that was folded behind them.
  bool beside_product(const Node& node, size_t i) const {
    bool affine = is_affine(node, i), multiplies = node.info->spec.kind == OpKind::Multiply;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (k == i || node.inputs[k] == no_value) continue;
      const Origin& o = origin(node.inputs[k]);
      if (o.product || (affine && o.channels) || (multiplies && o.spread)) return true;
    }
    return false;
  }

  // The axes of a constant of which one is longer than 1, else none.
  Dims channels(ValueId v) const {
    auto it = graph_.initializers.find(v);
    if (it == graph_.initializers.end()) return {};
    const Dims& shape = it->second.value.dims();
    bool one = std::count_if(shape.begin(), shape.end(), [](int64_t n) { return n > 1; }) == 1;
    return one ? shape : Dims{};
  }
  bool has_channels(const Node& node, const Dims& wanted) const {
    for (ValueId v : node.inputs) {
      Dims own = v == no_value ? Dims{} : channels(v);
      if (!own.empty()) return own == wanted;
    }
    return false;
  }

  // True for both constants of x * a + b if they have the same axes, of which one is longer than 1.
  bool is_affine(const Node& node, size_t i) const {
    Dims mine = channels(node.inputs[i]);
    if (mine.empty()) return false;
    if (node.info->spec.kind == OpKind::Multiply) {
      const auto& next = readers_[static_cast<size_t>(node.outputs[0])];
      return std::any_of(next.begin(), next.end(), [&](const Node* n) {
        return n->info->spec.kind == OpKind::Sum && has_channels(*n, mine);
      });
    }
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (k == i || node.inputs[k] == no_value) continue;
      int before = producers_[static_cast<size_t>(node.inputs[k])];
      if (before < 0) continue;
      const Node& n = graph_.nodes[static_cast<size_t>(before)];
      if (n.info->spec.kind == OpKind::Multiply && has_channels(n, mine)) return true;
    }
    return false;
  }

  const Graph& graph_;
  std::vector<Origin> origins_;
  std::vector<WeightUse> uses_;
  std::vector<int> producers_;
  std::vector<std::vector<const Node*>> readers_;
};

}  // namespace

std::vector<WeightUse> weight_uses(const Graph& graph) { return Uses(graph, false).find(); }

}  // namespace onnxrun
