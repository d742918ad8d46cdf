#include "emit/plain_pad.h"

#include <algorithm>

#include "graph/builder.h"

namespace onnxrun {

using Ints = std::vector<int64_t>;

// The amounts of a Pad that takes elements away; empty for all others.
static Ints negative_pads(const Graph& graph, const Node& node) {
  const Tensor* pads = graph.constant(node.inputs[1]);
  if (!pads) return {};
  Ints list(pads->data<int64_t>(), pads->data<int64_t>() + pads->size());
  bool takes_away = std::any_of(list.begin(), list.end(), [](int64_t n) { return n < 0; });
  return takes_away ? list : Ints();
}

bool emit_plain_pad(Graph& graph, Node& node) {
  Ints pads = negative_pads(graph, node);
  if (pads.empty()) return false;
  GraphBuilder b(graph, "plain/");
  size_t count = pads.size() / 2;
  Ints starts, ends;
  for (size_t i = 0; i < count; ++i) {
    starts.push_back(std::max<int64_t>(0, -pads[i]));
    ends.push_back(pads[count + i] < 0 ? pads[count + i] : INT64_MAX);
  }
  std::vector<ValueId> bounds = {node.inputs[0], b.ints(starts), b.ints(ends)};
  bool has_axes = node.inputs.size() > 3 && node.inputs[3] != no_value;
  if (has_axes) bounds.push_back(node.inputs[3]);
  node.inputs[0] = b.add("Slice", std::move(bounds));
  for (int64_t& n : pads) n = std::max<int64_t>(0, n);
  node.inputs[1] = b.ints(std::move(pads));
  graph.nodes.push_back(std::move(node));
  return true;
}

}  // namespace onnxrun
