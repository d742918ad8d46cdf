// Gradient (ai.onnx.preview.training): derivatives of one value of a model file with respect to
// others, all given by name. Nodes of it exist in files only: on the way in each becomes the
// ordinary nodes that passes/gradient.h emits.
#include "passes/gradient.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "graph/infer_context.h"
#include "graph/upgrade_context.h"

namespace onnxrun {

namespace {

class Gradient final : public Op {
 public:
  std::vector<std::string> xs;
  std::string y;
  std::vector<std::string> zs;

  void attributes(AttributeVisitor& v) override {
    v.required("xs", xs, "names of the values to differentiate with respect to");
    v.required("y", y, "name of the value to differentiate; of a tensor the sum of its elements");
    v.visit("zs", zs, "names of the other values that y is a function of");
  }

  void infer(InferContext& c) const override {
    c.reject("its attributes name values of a model file, there are none in a graph");
  }
};

// The function from the named values (xs, then zs) to y, and the point to differentiate it at: one
// value for each of them.
class Function {
 public:
  Function(GraphBuilder& builder, std::vector<ValueId> named, size_t xs, ValueId y)
      : builder_(builder),
        graph_(builder.graph()),
        named_(std::move(named)),
        names_(named_.begin(), named_.end()),
        xs_(xs),
        y_(y) {}

  std::vector<ValueId> gradient_at(const std::vector<ValueId>& point) {
    std::vector<ValueId> x(point.begin(), point.begin() + static_cast<std::ptrdiff_t>(xs_));
    ValueId y = y_;
    if (point != named_ || one_depends_on_another()) {
      for (ValueId& v : x) v = builder_.add("Identity", {v});
      y = evaluate(x, point);
    }
    ValueId ones = builder_.add("Expand", {builder_.scalar_like(1, y), builder_.shape_of(y)});
    return gradient(graph_, {{y, ones}}, x);
  }

 private:
  bool is_named(ValueId v) const { return names_.count(v) > 0; }

  // Then paths that lead through a named value must not count.
  bool one_depends_on_another() const {
    std::set<ValueId> dependent = names_;
    for (const Node& node : graph_.nodes) {
      bool depends = std::any_of(node.inputs.begin(), node.inputs.end(),
                                 [&](ValueId v) { return dependent.count(v) > 0; });
      if (!depends) continue;
      if (std::any_of(node.outputs.begin(), node.outputs.end(),
                      [&](ValueId v) { return is_named(v); })) {
        return true;
      }
      dependent.insert(node.outputs.begin(), node.outputs.end());
      dependent.erase(no_value);
    }
    return false;
  }

  // Which nodes y needs, up to the named values.
  std::vector<bool> needed_nodes() const {
    std::vector<bool> nodes(graph_.nodes.size(), false);
    std::set<ValueId> needed = {y_};
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      const Node& node = graph_.nodes[n];
      nodes[n] = std::any_of(node.outputs.begin(), node.outputs.end(),
                             [&](ValueId v) { return needed.count(v) > 0 && !is_named(v); });
      if (nodes[n]) needed.insert(node.inputs.begin(), node.inputs.end());
    }
    return nodes;
  }

  // y, from copies of the nodes that lead to it.
  ValueId evaluate(const std::vector<ValueId>& x, const std::vector<ValueId>& point) {
    std::map<ValueId, ValueId> moved;
    for (size_t i = 0; i < named_.size(); ++i) moved[named_[i]] = i < xs_ ? x[i] : point[i];
    auto map = [&](ValueId v) { return moved.count(v) ? moved.at(v) : v; };
    std::vector<bool> needed = needed_nodes();
    for (size_t n = 0; n < needed.size(); ++n) {
      if (!needed[n]) continue;
      Node node = graph_.nodes[n];
      bool moves = std::any_of(node.inputs.begin(), node.inputs.end(),
                               [&](ValueId v) { return moved.count(v) > 0; });
      if (!moves) continue;
      for (ValueId& v : node.inputs) v = map(v);
      for (ValueId& v : node.outputs) {
        if (v == no_value) continue;
        ValueId copy = graph_.add_value(graph_.unique_name(graph_.name_of(v)));
        if (!is_named(v)) moved[v] = copy;
        v = copy;
      }
      infer_node(graph_, node);
      graph_.nodes.push_back(std::move(node));
    }
    return map(y_);
  }

  GraphBuilder& builder_;
  Graph& graph_;
  std::vector<ValueId> named_;
  std::set<ValueId> names_;
  size_t xs_;
  ValueId y_;
};

void check_differentiable(const UpgradeContext& c, const std::string& name, ValueId v) {
  const Type& type = c.type(v);
  if (type.is_tensor() && carries_gradient(type)) return;
  fail(ErrorKind::BadModel, "'{}' is {}, expected a tensor of floating-point numbers", name,
       type.to_string());
}

// What captures bring into a subgraph has been computed around it.
bool is_computed_here(const Graph& graph, ValueId v) {
  return graph.producers()[static_cast<size_t>(v)] >= 0 || graph.initializers.count(v) ||
         std::find(graph.inputs.begin(), graph.inputs.end(), v) != graph.inputs.end();
}

// The values that xs and zs name; the node's inputs must be like them.
std::vector<ValueId> named_values(const UpgradeContext& c, const Gradient& node,
                                  const std::vector<ValueId>& inputs) {
  std::vector<std::string> names = node.xs;
  names.insert(names.end(), node.zs.begin(), node.zs.end());
  if (inputs.size() != names.size()) {
    fail(ErrorKind::BadModel, "{} inputs given, xs and zs name {}", inputs.size(), names.size());
  }
  std::vector<ValueId> named;
  std::set<ValueId> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    ValueId v = c.value_named(names[i]);
    if (!seen.insert(v).second) {
      fail(ErrorKind::BadModel, "'{}' is named twice by xs and zs", names[i]);
    }
    if (i < node.xs.size()) check_differentiable(c, names[i], v);
    if (!c.has_input(i) || !same_elements(c.type(v), c.type(inputs[i]))) {
      fail(ErrorKind::BadModel, "input {} is {}, '{}' is {}", i,
           c.has_input(i) ? c.type(inputs[i]).to_string() : "missing", names[i],
           c.type(v).to_string());
    }
    named.push_back(v);
  }
  return named;
}

void upgrade_gradient(UpgradeContext& c) {
  Gradient node;
  read_attributes(node, c.attributes());
  if (c.num_outputs() > node.xs.size()) {
    fail(ErrorKind::BadModel, "{} outputs asked for, xs names {}", c.num_outputs(), node.xs.size());
  }
  std::vector<ValueId> named = named_values(c, node, c.inputs());
  ValueId y = c.value_named(node.y);
  check_differentiable(c, node.y, y);
  bool is_named = std::find(named.begin(), named.end(), y) != named.end();
  if (!is_named && !is_computed_here(c.builder().graph(), y)) {
    fail(ErrorKind::Unsupported, "'{}' is computed outside of the subgraph that differentiates it",
         node.y);
  }
  c.replace(Function(c.builder(), named, node.xs.size(), y).gradient_at(c.inputs()));
}

}  // namespace

void register_gradient(OpRegistry& r) {
  constexpr DTypeSet t1 = dtypes::basic - DTypeSet(DType::BFloat16);
  r.add<Gradient>({.name = "Gradient",
                   .domain = "ai.onnx.preview.training",
                   .doc = "derivatives of a value of the file with respect to others",
                   .since = {1},
                   .inputs = {{"Inputs", "T1", Param::Kind::Variadic, false}},
                   .outputs = {{"Outputs", "T2", Param::Kind::Variadic, false}},
                   .types = {{"T1", t1}, {"T2", dtypes::floats - DTypeSet(DType::BFloat16)}},
                   .upgrade = upgrade_gradient});
}

}  // namespace onnxrun
