#include "graph/builder.h"

namespace onnxrun {

ValueId GraphBuilder::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  NodeOptions options;
  options.attributes = std::move(attributes);
  return add_n(op, std::move(inputs), 1, std::move(options)).front();
}

static std::string simple_name(std::string_view qualified) {
  size_t dot = qualified.rfind('.');
  return std::string(dot == std::string_view::npos ? qualified : qualified.substr(dot + 1));
}

std::vector<ValueId> GraphBuilder::add_n(std::string_view op, std::vector<ValueId> inputs,
                                         size_t count, NodeOptions options) {
  Node node;
  node.info = &graph_.registry().get(op);
  std::shared_ptr<Op> made = node.info->make();
  node.name = std::move(options.name);
  try {
    read_attributes(*made, options.attributes);
  } catch (const Error& e) {
    if (node.name.empty() && !options.output_names.empty()) node.name = options.output_names[0];
    throw e.in(frame_of(graph_, node));
  }
  node.op = std::move(made);
  node.inputs = std::move(inputs);
  node.captures = static_cast<int>(options.captures.size());
  node.inputs.insert(node.inputs.end(), options.captures.begin(), options.captures.end());
  node.bodies = std::move(options.bodies);
  std::string base = prefix_ + simple_name(op);
  for (size_t i = 0; i < count; ++i) {
    bool named = i < options.output_names.size() && !options.output_names[i].empty();
    node.outputs.push_back(
        graph_.add_value(named ? options.output_names[i] : graph_.unique_name(base)));
  }
  infer_node(graph_, node);
  std::vector<ValueId> outputs = node.outputs;
  graph_.nodes.push_back(std::move(node));
  return outputs;
}

ValueId GraphBuilder::constant(Tensor value) {
  return graph_.add_initializer(graph_.unique_name(prefix_ + "const"), std::move(value));
}

ValueId GraphBuilder::scalar(double value, DType type) {
  return constant(convert(Tensor::scalar(value), type));
}

ValueId GraphBuilder::ints(std::vector<int64_t> values) {
  return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId GraphBuilder::int_scalar(int64_t value) { return constant(Tensor::scalar(value)); }

ValueId GraphBuilder::cast(ValueId v, DType to) {
  if (dtype(v) == to) return v;
  return add("Cast", {v}, {{"to", static_cast<int64_t>(to)}});
}

ValueId GraphBuilder::reduce_sum(ValueId v, std::vector<int64_t> axes, bool keepdims) {
  return add("ReduceSum", {v, ints(std::move(axes))},
             {{"keepdims", int64_t{keepdims}}, {"noop_with_empty_axes", int64_t{1}}});
}

ValueId GraphBuilder::unsqueeze(ValueId v, std::vector<int64_t> axes) {
  return add("Unsqueeze", {v, ints(std::move(axes))});
}

ValueId GraphBuilder::squeeze(ValueId v, std::vector<int64_t> axes) {
  return add("Squeeze", {v, ints(std::move(axes))});
}

ValueId GraphBuilder::transpose(ValueId v, std::vector<int64_t> perm) {
  return add("Transpose", {v}, {{"perm", std::move(perm)}});
}

ValueId GraphBuilder::zeros_like(ValueId v) {
  if (!type(v).is_tensor()) return add("onnxrun.ZerosLike", {v});
  return add("ConstantOfShape", {shape_of(v)},
             {{"value", convert(Tensor::of<float>({1}, {0.0f}), dtype(v))}});
}

ValueId GraphBuilder::slice(ValueId v, int64_t axis, int64_t start, int64_t end) {
  return add("Slice", {v, ints({start}), ints({end}), ints({axis})});
}

}  // namespace onnxrun
