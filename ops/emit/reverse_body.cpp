#include "emit/reverse_body.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

Node& original_node(GradientContext& g) {
  const std::vector<ValueId>& outputs = g.node().outputs;
  ValueId known =
      *std::find_if(outputs.begin(), outputs.end(), [](ValueId v) { return v != no_value; });
  for (Node& node : g.builder().graph().nodes) {
    if (std::find(node.outputs.begin(), node.outputs.end(), known) != node.outputs.end())
      return node;
  }
  fail(ErrorKind::Internal, "the node to differentiate is not in its graph");
}

ValueId zeros_like_output(GradientContext& g, size_t i) {
  GraphBuilder& b = g.builder();
  Node& node = original_node(g);
  ValueId unused = b.graph().add_value(b.graph().unique_name("unused"));
  node.outputs[i] = unused;
  infer_node(b.graph(), node);
  return b.zeros_like(unused);
}

bool same_shape_always(const Type& type) {
  return type.is_tensor() && type.shape &&
         std::none_of(type.shape->begin(), type.shape->end(),
                      [](const Dim& d) { return d.is_unknown(); });
}

ValueId Captures::of(ValueId v) {
  auto it = std::find(values_.begin(), values_.end(), v);
  if (it != values_.end()) return inputs_[static_cast<size_t>(it - values_.begin())];
  values_.push_back(v);
  inputs_.push_back(body_.add_value(body_.unique_name("captured"), outer_.type(v)));
  body_.inputs.push_back(inputs_.back());
  return inputs_.back();
}

ValueId add_cotangents(GraphBuilder& b, ValueId x, ValueId y) {
  return b.add(b.type(x).is_tensor() ? "Add" : "onnxrun.AddSequences", {x, y});
}

}  // namespace onnxrun
