// A node of an older opset on its way into a graph of today's.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "graph/builder.h"

namespace onnxrun {

// For OpSpec::upgrade, which edits inputs() and attributes() into today's form, or emits the equal
// expression and calls replace(). The importer then adds the node, or takes the replacement.
class UpgradeContext {
 public:
  UpgradeContext(GraphBuilder& builder, int opset, std::vector<ValueId> inputs,
                 Attributes attributes, size_t num_outputs)
      : builder_(builder),
        opset_(opset),
        num_outputs_(num_outputs),
        inputs_(std::move(inputs)),
        attributes_(std::move(attributes)) {}

  // The opset that the file imports for this operator's domain.
  int opset() const { return opset_; }
  GraphBuilder& builder() { return builder_; }
  size_t num_outputs() const { return num_outputs_; }
  void set_num_outputs(size_t n) { num_outputs_ = n; }

  std::vector<ValueId>& inputs() { return inputs_; }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i] != no_value; }
  ValueId input(size_t i) const { return has_input(i) ? inputs_[i] : no_value; }
  // Puts `v` at place i, with omitted inputs before it as needed.
  void set_input(size_t i, ValueId v);
  // Throws BadModel for no_value: an upgrade asks for types of inputs that must be there.
  const Type& type(ValueId v) const {
    if (v == no_value) missing_input();
    return builder_.type(v);
  }

  // Subgraphs of the node, and the values they capture (graph.h).
  std::vector<Graph>& bodies() { return bodies_; }
  std::vector<ValueId>& captures() { return captures_; }

  Attributes& attributes() { return attributes_; }
  bool has_attribute(std::string_view name) const {
    return attributes_.count(std::string(name)) > 0;
  }
  // Removes the attribute and returns it; nothing if it is absent, BadModel if it is of another
  // kind.
  template <typename T>
  std::optional<T> take(std::string_view name) {
    auto it = attributes_.find(name);
    if (it == attributes_.end()) return std::nullopt;
    T* value = std::get_if<T>(&it->second);
    if (!value) wrong_kind(name);
    T result = std::move(*value);
    attributes_.erase(it);
    return result;
  }
  // An int64 list attribute (`axes`) becomes the input at place i, a 1-D constant.
  void attribute_to_input(std::string_view name, size_t i);

  // The value that the file calls `name` where the node stands. Throws BadModel if there is none.
  ValueId value_named(const std::string& name) const;
  // Who knows the file's names; without, they are the graph's.
  void set_names(std::function<ValueId(const std::string&)> names) { names_ = std::move(names); }

  // The node is not created; its outputs are these values (no_value for one nobody reads).
  void replace(std::vector<ValueId> outputs) { replacement_ = std::move(outputs); }
  const std::optional<std::vector<ValueId>>& replacement() const { return replacement_; }

 private:
  [[noreturn]] static void wrong_kind(std::string_view name);
  [[noreturn]] static void missing_input();

  GraphBuilder& builder_;
  int opset_;
  size_t num_outputs_;
  std::vector<ValueId> inputs_;
  Attributes attributes_;
  std::vector<Graph> bodies_;
  std::vector<ValueId> captures_;
  std::optional<std::vector<ValueId>> replacement_;
  std::function<ValueId(const std::string&)> names_;
};

}  // namespace onnxrun
