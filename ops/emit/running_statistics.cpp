#include "emit/running_statistics.h"

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

// running = momentum * old + (1 - momentum) * batch; PyTorch's batch variance is n / (n - 1) times
// the standard's, so the update is stretched by that factor around momentum * old.
static ValueId unbiased(GraphBuilder& b, ValueId x, ValueId old, ValueId updated, float momentum) {
  ValueId shape = b.shape_of(x);
  ValueId channels = b.slice(shape, 0, 1, 2);
  ValueId size = b.add("Size", {x});
  DType dtype = b.dtype(updated);
  ValueId n = b.cast(b.add("Div", {size, b.squeeze(channels, {0})}), DType::Float64);
  ValueId one = b.scalar(1, DType::Float64);
  ValueId factor = b.cast(b.add("Div", {n, b.add("Sub", {n, one})}), dtype);
  ValueId kept = b.add("Mul", {old, b.scalar(momentum, dtype)});
  ValueId batch = b.add("Sub", {updated, kept});
  return b.add("Add", {kept, b.add("Mul", {batch, factor})});
}

void set_batch_mode(ModeContext& c, float momentum) {
  Node& node = c.node();
  const bool batch = c.modes().batch_statistics;
  Attributes attributes = attributes_of(node);
  attributes["training_mode"] = int64_t{batch};
  set_attributes(node, attributes);
  if (!batch) {
    node.outputs.resize(1);
    return;
  }
  Graph& graph = c.graph();
  while (node.outputs.size() < 3) {
    ValueId stat = node.inputs[node.outputs.size() + 2];
    node.outputs.push_back(graph.add_value(graph.unique_name(graph.name_of(stat) + "::next")));
  }
  infer_node(graph, node);
  ValueId x = node.inputs[0], mean = node.inputs[3], var = node.inputs[4];
  ValueId next_mean = node.outputs[1], next_var = node.outputs[2];
  c.place();
  if (c.modes().unbiased_variance) {
    GraphBuilder builder(graph, "train/");
    next_var = unbiased(builder, x, var, next_var, momentum);
  }
  c.moves(mean, next_mean);
  c.moves(var, next_var);
}

}  // namespace onnxrun
