#include "emit/function_op.h"

#include "builtin_ops.h"

namespace onnxrun {

void FunctionOp::infer(InferContext& c) const {
  check(c);
  Graph graph(builtin_ops());
  Node node;
  bool ranks = true;
  for (size_t i = 0; i < c.num_inputs(); ++i) {
    std::string name = "input " + std::to_string(i);
    if (!c.has_input(i)) {
      node.inputs.push_back(no_value);
    } else if (const Tensor* constant = c.constant(i)) {
      node.inputs.push_back(graph.add_initializer(name, *constant));
    } else {
      node.inputs.push_back(graph.add_input(name, c.type(i)));
      if (auto content = c.content(i)) graph.value(node.inputs.back()).content = content;
      ranks = ranks && c.shape(i);
    }
  }
  for (size_t i = 0; i < c.num_outputs(); ++i) {
    node.outputs.push_back(c.has_output(i) ? graph.add_value("output " + std::to_string(i))
                                           : no_value);
    if (!ranks && c.has_output(i)) c.set_output(i, output_type(c, i));
  }
  if (!ranks) return;
  GraphBuilder builder(graph);
  DecomposeContext d(builder, node);
  decompose(d);
  for (size_t i = 0; i < c.num_outputs(); ++i) {
    if (c.has_output(i)) c.set_output(i, builder.type(d.results()[i]));
  }
}

void require_rank(const InferContext& c, size_t i, int64_t rank) {
  if (c.has_input(i) && c.shape(i) && c.rank(i) != rank) {
    c.reject("{}, expected rank {}", c.describe_input(i), rank);
  }
}

void require_shape(const InferContext& c, size_t i, const Shape& shape) {
  if (c.has_input(i) && !compatible(Type::tensor(c.dtype(i), shape), c.type(i))) {
    c.reject("{}, expected {}", c.describe_input(i), to_string(shape));
  }
}

void require_single(const InferContext& c, size_t i) {
  if (!c.has_input(i) || !c.shape(i)) return;
  Dim count = element_count(*c.shape(i));
  if (count.is_known() && count.value() != 1) {
    c.reject("{}, expected one element", c.describe_input(i));
  }
}

}  // namespace onnxrun
