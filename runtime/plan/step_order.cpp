#include "plan/step_order.h"

#include <algorithm>

#include "graph/checks_ahead.h"

namespace onnxrun {

namespace {

// Nodes that something depends on.
class Needed {
 public:
  explicit Needed(const Graph& graph)
      : graph_(graph), producers_(graph.producers()), needed_(graph.nodes.size(), false) {}

  void add(ValueId root) {
    std::vector<ValueId> stack{root};
    while (!stack.empty()) {
      const int n = producer(stack.back());
      stack.pop_back();
      if (n < 0 || needed_[static_cast<size_t>(n)]) continue;
      needed_[static_cast<size_t>(n)] = true;
      const auto& in = graph_.nodes[static_cast<size_t>(n)].inputs;
      stack.insert(stack.end(), in.begin(), in.end());
    }
  }

  // -1 if no node gives it.
  int producer(ValueId v) const { return v == no_value ? -1 : producers_[static_cast<size_t>(v)]; }
  bool has(size_t n) const { return needed_[n]; }

 private:
  const Graph& graph_;
  std::vector<int> producers_;
  std::vector<bool> needed_;
};

// No step has to wait for lengths.
bool has_known_lengths(const Graph& graph) {
  auto known = [&](ValueId v) {
    if (v == no_value) return true;
    const Type& t = graph.value(v).type;
    return t.is_concrete() && t.dtype != DType::String;
  };
  return std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) {
    return n.bodies.empty() && std::all_of(n.inputs.begin(), n.inputs.end(), known) &&
           std::all_of(n.outputs.begin(), n.outputs.end(), known);
  });
}

// Whether asking is worth it: what the node gives is more than a first-level cache holds.
bool may_ask(const Graph& graph, const Node& n) {
  constexpr int64_t enough_bytes = 1 << 16;
  if (!dynamic_cast<const ChecksAhead*>(n.op.get())) return false;
  int64_t bytes = 0;
  for (ValueId v : n.outputs) {
    if (v == no_value) continue;
    const Type& t = graph.value(v).type;
    bytes += bytes_of(t.dtype, element_count(to_dims(*t.shape)));
  }
  return bytes >= enough_bytes;
}

}  // namespace

StepOrder order_steps(const Graph& graph, bool may_check_ahead) {
  Needed head(graph), live(graph);
  for (const StateBinding& s : graph.state) live.add(s.out);
  for (ValueId v : graph.outputs) head.add(v);
  const bool asks = may_check_ahead && has_known_lengths(graph);
  for (ValueId v : graph.guards) {
    const int n = head.producer(v);
    if (n < 0) continue;
    const Node& node = graph.nodes[static_cast<size_t>(n)];
    if (asks && live.has(static_cast<size_t>(n)) && may_ask(graph, node)) {
      for (ValueId in : node.inputs) head.add(in);
    } else {
      head.add(v);
    }
  }
  StepOrder order;
  order.is_checked_ahead.assign(graph.nodes.size(), false);
  for (ValueId v : graph.guards) {
    const int n = head.producer(v);
    if (n < 0 || head.has(static_cast<size_t>(n))) {
      order.guards.push_back(v);
    } else {
      order.is_checked_ahead[static_cast<size_t>(n)] = true;
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (head.has(n)) {
      order.head.push_back(n);
    } else if (live.has(n)) {
      order.commit.push_back(n);
    }
  }
  return order;
}

}  // namespace onnxrun
