// What an operator sees of a node when its gradient or its decomposition is emitted.
#pragma once

#include "graph/builder.h"

namespace onnxrun {

// For Op::gradient. The rule reads the node's inputs, outputs and the cotangents of its outputs,
// and sets the cotangents of the inputs that want one:
//     // d exp(x) = exp(x) dx
//     g.set(0, g.mul(g.grad(0), g.output(0)));
// The pass accumulates over uses, sums what broadcasting repeated (a cotangent may have the
// broadcast shape), and casts nothing: element types must agree.
class GradientContext {
 public:
  GradientContext(GraphBuilder& builder, const Node& node, std::vector<ValueId> grad_outputs,
                  std::vector<bool> wanted)
      : builder_(builder),
        node_(node),
        grad_outputs_(std::move(grad_outputs)),
        wanted_(std::move(wanted)),
        grads_(node.inputs.size(), no_value) {}

  GraphBuilder& builder() { return builder_; }
  const Node& node() const { return node_; }
  size_t num_inputs() const { return node_.formal_inputs(); }
  size_t num_outputs() const { return node_.outputs.size(); }
  bool has_input(size_t i) const { return i < num_inputs() && node_.inputs[i] != no_value; }
  bool has_output(size_t i) const { return i < num_outputs() && node_.outputs[i] != no_value; }
  ValueId input(size_t i) const { return i < node_.inputs.size() ? node_.inputs[i] : no_value; }
  ValueId output(size_t i) const { return i < num_outputs() ? node_.outputs[i] : no_value; }
  const Type& type(ValueId v) const { return builder_.type(v); }
  DType dtype(ValueId v) const { return builder_.dtype(v); }
  int64_t rank(ValueId v) const { return builder_.rank(v); }

  // True if input i (captures included: index >= num_inputs()) wants a cotangent.
  bool wants(size_t i) const { return i < wanted_.size() && wanted_[i]; }
  // True if a cotangent reached output i.
  bool has_grad(size_t i) const { return i < grad_outputs_.size() && grad_outputs_[i] != no_value; }
  // The cotangent of output i; zeros if none reached it.
  ValueId grad(size_t i);
  // Sets the cotangent of input i; ignored if it wants none.
  void set(size_t i, ValueId cotangent);

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return builder_.add(op, std::move(inputs), std::move(attributes));
  }
  ValueId mul(ValueId a, ValueId b) { return add("Mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) { return add("Div", {a, b}); }
  ValueId plus(ValueId a, ValueId b) { return add("Add", {a, b}); }
  ValueId minus(ValueId a, ValueId b) { return add("Sub", {a, b}); }
  ValueId neg(ValueId a) { return add("Neg", {a}); }
  ValueId scalar_like(double value, ValueId like) { return builder_.scalar_like(value, like); }

  const std::vector<ValueId>& grads() const { return grads_; }

 private:
  GraphBuilder& builder_;
  const Node& node_;
  std::vector<ValueId> grad_outputs_;
  std::vector<bool> wanted_;
  std::vector<ValueId> grads_;
};

// For Op::decompose: reads the node's inputs and sets values for its outputs.
class DecomposeContext {
 public:
  DecomposeContext(GraphBuilder& builder, const Node& node)
      : builder_(builder), node_(node), results_(node.outputs.size(), no_value) {}

  GraphBuilder& builder() { return builder_; }
  const Node& node() const { return node_; }
  size_t num_inputs() const { return node_.formal_inputs(); }
  bool has_input(size_t i) const { return i < num_inputs() && node_.inputs[i] != no_value; }
  bool has_output(size_t i) const {
    return i < node_.outputs.size() && node_.outputs[i] != no_value;
  }
  ValueId input(size_t i) const { return i < node_.inputs.size() ? node_.inputs[i] : no_value; }
  const Type& type(ValueId v) const { return builder_.type(v); }
  DType dtype(ValueId v) const { return builder_.dtype(v); }
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return builder_.add(op, std::move(inputs), std::move(attributes));
  }
  void set(size_t output, ValueId value) { results_[output] = value; }

  const std::vector<ValueId>& results() const { return results_; }

 private:
  GraphBuilder& builder_;
  const Node& node_;
  std::vector<ValueId> results_;
};

}  // namespace onnxrun
