#include "graph/graph.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::Constant:
      return "constant";
    case Role::Parameter:
      return "parameter";
    case Role::Buffer:
      return "buffer";
  }
  return "";
}

std::string ModelSource::file_bytes() const {
  size_t size = bytes.size(), done = 0;
  for (const Cut& cut : cuts) size += static_cast<size_t>(cut.elements.bytes());
  std::string whole;
  whole.reserve(size);
  for (const Cut& cut : cuts) {
    whole.append(bytes, done, cut.at - done);
    whole.append(reinterpret_cast<const char*>(cut.elements.raw()),
                 static_cast<size_t>(cut.elements.bytes()));
    done = cut.at;
  }
  return whole.append(bytes, done);
}

ValueId Graph::add_value(std::string value_name, Type type) {
  if (!value_name.empty()) {
    names_.emplace(value_name, NameUse{static_cast<ValueId>(values_.size())});
  }
  values_.push_back({std::move(value_name), std::move(type)});
  return static_cast<ValueId>(values_.size() - 1);
}

ValueId Graph::add_input(std::string value_name, Type type) {
  ValueId id = add_value(std::move(value_name), std::move(type));
  inputs.push_back(id);
  return id;
}

// Larger integer tensors are data, not shapes.
static constexpr int64_t max_known_elements = 64;

ValueId Graph::add_initializer(std::string value_name, Tensor tensor, Role role) {
  ValueId id =
      add_value(std::move(value_name), Type::tensor(tensor.dtype(), to_shape(tensor.dims())));
  if (dtypes::index.contains(tensor.dtype()) && tensor.rank() <= 1 &&
      tensor.size() <= max_known_elements) {
    std::vector<int64_t> elements = to_int64s(tensor);
    value(id).content = Shape(elements.begin(), elements.end());
  }
  initializers[id] = {std::move(tensor), role};
  return id;
}

const std::string& Graph::name_of(ValueId id) const {
  static const std::string none;
  return id == no_value ? none : value(id).name;
}

ValueId Graph::find(std::string_view value_name) const {
  auto known = names_.find(value_name);
  if (known != names_.end() && value(known->second.first).name == value_name) {
    return known->second.first;
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].name == value_name) return static_cast<ValueId>(i);
  }
  return no_value;
}

std::string Graph::unique_name(const std::string& base) const {
  auto it = names_.find(base);
  if (it == names_.end()) return base;
  for (;;) {
    std::string candidate = base + "_" + std::to_string(++it->second.count);
    if (!names_.count(candidate)) return candidate;
  }
}

const Tensor* Graph::constant(ValueId id) const {
  auto it = initializers.find(id);
  if (it == initializers.end() || it->second.role != Role::Constant) return nullptr;
  if (std::find(overridable.begin(), overridable.end(), id) != overridable.end()) return nullptr;
  return &it->second.value;
}

std::vector<int> Graph::producers() const {
  std::vector<int> result(values_.size(), -1);
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (ValueId v : nodes[n].outputs) {
      if (v != no_value) result[static_cast<size_t>(v)] = static_cast<int>(n);
    }
  }
  return result;
}

std::vector<int> Graph::use_counts() const {
  std::vector<int> counts(values_.size(), 0);
  auto use = [&](ValueId v) {
    if (v != no_value) ++counts[static_cast<size_t>(v)];
  };
  for (const Node& node : nodes) std::for_each(node.inputs.begin(), node.inputs.end(), use);
  std::for_each(outputs.begin(), outputs.end(), use);
  std::for_each(guards.begin(), guards.end(), use);
  for (const StateBinding& s : state) use(s.out);
  return counts;
}

ErrorFrame frame_of(const Graph& graph, const Node& node) {
  std::string name = node.name;
  for (size_t i = 0; name.empty() && i < node.outputs.size(); ++i)
    name = graph.name_of(node.outputs[i]);
  return {ErrorFrame::Kind::Node, name, node.info->qualified_name()};
}

std::string describe(const Graph& graph, const Node& node) {
  ErrorFrame frame = frame_of(graph, node);
  return frame.op + " node '" + frame.name + "'";
}

}  // namespace onnxrun
