#include "passes/widen.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

Attributes cast_attributes(DType to) { return {{"to", static_cast<int64_t>(to)}}; }

double largest(DType t) {
  switch (t) {
    case DType::Float16:
      return 65504;
    case DType::BFloat16:
      return 3.3895313892515355e38;
    case DType::Float32:
      return FLT_MAX;
    default:
      return DBL_MAX;
  }
}

// Whether a type parameter of an operator is to do without the new type.
using Excluded = decltype(FloatConversion::excluded);

class FloatConverter {
 public:
  explicit FloatConverter(DType to, bool halves_only = false, Excluded excluded = {})
      : to_(to), halves_only_(halves_only), excluded_(std::move(excluded)) {}

  void convert_graph(Graph& graph) {
    for (ValueId v : graph.inputs) graph.value(v).type = converted(graph.value(v).type);
    Originals originals;
    for (auto& [id, init] : graph.initializers) {
      if (is_converted(init.value.dtype())) {
        if (to_ != DType::Float64) originals[id] = init.value;
        init.value = converted(init.value, graph.name_of(id));
      }
      graph.value(id).type = converted(graph.value(id).type);
    }
    std::vector<Node> nodes = std::move(graph.nodes);
    graph.nodes.clear();
    for (Node& node : nodes) {
      convert_attributes(node);
      for (Graph& body : node.bodies) convert_graph(body);
      append(graph, std::move(node), originals);
    }
  }

  const std::vector<std::string>& cut_off() const { return cut_off_; }

  bool is_converted(DType t) const {
    bool half = t == DType::Float16 || t == DType::BFloat16;
    if (halves_only_) return half;
    return t != to_ &&
           (half || t == DType::Float32 || (t == DType::Float64 && to_ != DType::Float64));
  }

 private:
  // Initializers as they were.
  using Originals = std::unordered_map<ValueId, Tensor>;

  Type converted(Type t) const {
    if (t.is_tensor() && is_converted(t.dtype)) t.dtype = to_;
    if (t.element) t.element = std::make_shared<const Type>(converted(*t.element));
    return t;
  }

  Tensor converted(const Tensor& t, const std::string& name) {
    Tensor result = convert(t, to_);
    if (to_ == DType::Float64) return result;
    Tensor before = convert(t, DType::Float64).clone(), after = convert(result, DType::Float64);
    bool cut = false;
    for (int64_t i = 0; i < t.size(); ++i) {
      double& x = before.data<double>()[i];
      if (!std::isfinite(x) || std::isfinite(after.data<double>()[i])) continue;
      x = std::copysign(largest(to_), x);
      cut = true;
    }
    if (!cut) return result;
    cut_off_.push_back(name);
    return convert(before, to_);
  }

  void convert_value(AttributeValue& value, bool element_type, const std::string& owner) {
    if (Tensor* t = std::get_if<Tensor>(&value); t && is_converted(t->dtype())) {
      *t = converted(*t, owner);
    } else if (int64_t* i = std::get_if<int64_t>(&value); i && element_type) {
      if (is_converted(static_cast<DType>(*i))) *i = static_cast<int64_t>(to_);
    } else if (Type* type = std::get_if<Type>(&value)) {
      *type = converted(*type);
    }
  }

  // Defaults count, too: an element type that is not written may be float32.
  void convert_attributes(Node& node) {
    Attributes attributes = attributes_of(node);
    for (const AttributeInfo& info : list_attributes(*node.op)) {
      bool is_type = info.element_type && node.op->types_an_output(info.name, node) &&
                     !stays_float(node.info->spec, node.info->spec.outputs, 0);
      if (!info.value) continue;
      AttributeValue value = *info.value;
      convert_value(value, is_type, node.name);
      if (!equal(value, *info.value)) attributes[info.name] = std::move(value);
    }
    set_attributes(node, attributes);
  }

  // Whether the operator's specification has this parameter in float, but not in the new type.
  bool stays_float(const OpSpec& spec, const std::vector<Param>& params, size_t i) const {
    if (params.empty()) return false;
    std::string_view type = params[std::min(i, params.size() - 1)].type;
    for (const TypeConstraint& c : spec.types) {
      if (c.name != type) continue;
      return c.tensor.contains(DType::Float32) &&
             (!c.tensor.contains(to_) || (excluded_ && excluded_(spec, type, to_)));
    }
    return false;
  }

  ValueId as_float(Graph& graph, ValueId v, const Originals& originals) {
    auto original = originals.find(v);
    if (original == originals.end()) {
      return GraphBuilder(graph).add("Cast", {v}, cast_attributes(DType::Float32));
    }
    return graph.add_initializer(graph.unique_name(graph.name_of(v) + "::float"),
                                 convert(original->second, DType::Float32));
  }

  // Appends the node to the graph, with casts around inputs and outputs that stay float.
  void append(Graph& graph, Node node, const Originals& originals) {
    const OpSpec& spec = node.info->spec;
    for (size_t i = 0; i < node.formal_inputs(); ++i) {
      ValueId& v = node.inputs[i];
      if (v == no_value || !stays_float(spec, spec.inputs, i)) continue;
      const Type& type = graph.value(v).type;
      if (type.is_tensor() && type.dtype == to_) v = as_float(graph, v, originals);
    }
    std::vector<std::pair<ValueId, ValueId>> cast_later;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      ValueId& v = node.outputs[i];
      if (v == no_value || !stays_float(spec, spec.outputs, i)) continue;
      ValueId result = v;
      v = graph.add_value(graph.unique_name(graph.name_of(result) + "::float"));
      cast_later.emplace_back(v, result);
    }
    infer_node(graph, node);
    graph.nodes.push_back(std::move(node));
    GraphBuilder builder(graph);
    for (auto [from, to] : cast_later) {
      builder.add("Cast", {from}, cast_attributes(to_));
      graph.nodes.back().outputs = {to};
      graph.value(to).type = graph.value(graph.nodes.back().inputs[0]).type;
      graph.value(to).type.dtype = to_;
    }
  }

  DType to_;
  bool halves_only_;
  Excluded excluded_;
  std::vector<std::string> cut_off_;
};

void replace_uses(Graph& graph, ValueId from, ValueId to) {
  for (Node& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
}

// Gives input `v` the type `outside`, with a cast behind it.
void cast_input(Graph& graph, ValueId v, DType outside) {
  ValueId inner =
      graph.add_value(graph.unique_name(graph.name_of(v) + "::cast"), graph.value(v).type);
  replace_uses(graph, v, inner);
  DType inside = graph.value(v).type.dtype;
  graph.value(v).type.dtype = outside;
  GraphBuilder(graph).add("Cast", {v}, cast_attributes(inside));
  graph.nodes.back().outputs = {inner};
  std::rotate(graph.nodes.begin(), std::prev(graph.nodes.end()), graph.nodes.end());
}

// The same for an output that a node gives, with a cast before it.
void cast_output(Graph& graph, ValueId v, DType outside) {
  ValueId inner =
      graph.add_value(graph.unique_name(graph.name_of(v) + "::cast"), graph.value(v).type);
  for (Node& node : graph.nodes) {
    std::replace(node.outputs.begin(), node.outputs.end(), v, inner);
  }
  replace_uses(graph, v, inner);
  GraphBuilder(graph).add("Cast", {inner}, cast_attributes(outside));
  graph.nodes.back().outputs = {v};
  graph.value(v).type.dtype = outside;
}

// Inputs and outputs that are converted, with the type they had.
std::vector<std::pair<ValueId, DType>> converted_ones(const Graph& graph,
                                                      const std::vector<ValueId>& values,
                                                      const FloatConverter& converter) {
  std::vector<std::pair<ValueId, DType>> list;
  for (ValueId v : values) {
    const Type& type = graph.value(v).type;
    if (type.is_tensor() && converter.is_converted(type.dtype)) list.emplace_back(v, type.dtype);
  }
  return list;
}

}  // namespace

static bool has_halves(const Graph& graph) {
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const Type& type = graph.value(static_cast<ValueId>(v)).type;
    if (type.dtype == DType::Float16 || type.dtype == DType::BFloat16) return true;
  }
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return std::any_of(node.bodies.begin(), node.bodies.end(), has_halves);
  });
}

bool widen_halves(Graph& graph) {
  if (!has_halves(graph)) return false;
  FloatConverter(DType::Float32, true).convert_graph(graph);
  infer(graph);
  return true;
}

void widen_to_double(Graph& graph) {
  FloatConverter(DType::Float64).convert_graph(graph);
  infer(graph);
}

std::vector<std::string> convert_floats(Graph& graph, const FloatConversion& conversion) {
  FloatConverter converter(conversion.to, false, conversion.excluded);
  auto inputs = converted_ones(graph, graph.inputs, converter);
  auto outputs = converted_ones(graph, graph.outputs, converter);
  converter.convert_graph(graph);
  infer(graph);
  if (conversion.keep_io) {
    for (auto [v, type] : outputs) {
      if (graph.producers()[static_cast<size_t>(v)] >= 0) cast_output(graph, v, type);
    }
    for (auto [v, type] : inputs) cast_input(graph, v, type);
    infer(graph);
  }
  return converter.cut_off();
}

}  // namespace onnxrun
