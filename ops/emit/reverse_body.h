// What the gradients of Loop and Scan share.
#pragma once

#include "graph/gradient_context.h"
#include "passes/body_gradient.h"

namespace onnxrun {

// The node of the graph that the context's copy was made from: rules for loops add outputs to it.
Node& original_node(GradientContext& g);

// Zeros like output i, which nothing reads: the original node is made to give it.
ValueId zeros_like_output(GradientContext& g, size_t i);

// True if the type says that all iterations have the same shape.
bool same_shape_always(const Type& type);

// Adds `v` of `outer` to `body` as an input that the node will capture.
class Captures {
 public:
  Captures(Graph& body, const GraphBuilder& outer) : body_(body), outer_(outer) {}

  // The input of the body that stands for `v`; one for each value.
  ValueId of(ValueId v);
  const std::vector<ValueId>& values() const { return values_; }

 private:
  Graph& body_;
  const GraphBuilder& outer_;
  std::vector<ValueId> values_, inputs_;
};

// x + y; sequences element by element.
ValueId add_cotangents(GraphBuilder& b, ValueId x, ValueId y);

}  // namespace onnxrun
