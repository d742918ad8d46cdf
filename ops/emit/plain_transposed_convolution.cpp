#include "emit/plain_transposed_convolution.h"

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

// True if each group is one channel, or there is only one.
static bool is_plain(const Graph& graph, const Node& node, int64_t groups) {
  const auto& weight = graph.value(node.inputs[1]).type.shape;
  bool of_one_channel = weight && (*weight)[0] == Dim(groups) && (*weight)[1] == Dim(1);
  return groups <= 1 || of_one_channel;
}

bool emit_plain_transposed_convolution(Graph& graph, Node& node, int64_t groups) {
  if (is_plain(graph, node, groups)) return false;
  GraphBuilder b(graph, "plain/");
  auto parts = [&](size_t input, int64_t axis) {
    NodeOptions options;
    options.attributes = {{"axis", axis}, {"num_outputs", groups}};
    return b.add_n("Split", {node.inputs[input]}, static_cast<size_t>(groups), std::move(options));
  };
  Attributes attributes = attributes_of(node);
  attributes.erase("group");
  std::vector<ValueId> x = parts(0, 1), w = parts(1, 0), results;
  for (size_t k = 0; k < x.size(); ++k) {
    results.push_back(b.add("ConvTranspose", {x[k], w[k]}, attributes));
  }
  ValueId y = b.add("Concat", std::move(results), {{"axis", int64_t{1}}});
  if (node.inputs.size() > 2 && node.inputs[2] != no_value) {
    ValueId behind = b.add("Sub", {b.shape_of(b.shape_of(y)), b.ints({2})});
    ValueId ones = b.add("ConstantOfShape", {behind}, {{"value", Tensor::of<int64_t>({1}, {1})}});
    ValueId shape = b.add("Concat", {b.ints({-1}), ones}, {{"axis", int64_t{0}}});
    b.add("Add", {y, b.add("Reshape", {node.inputs[2], shape})});
  }
  graph.nodes.back().outputs = node.outputs;
  return true;
}

}  // namespace onnxrun
