#include "passes/widen.h"

#include <algorithm>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

bool narrow(DType t) { return t == DType::Float32 || t == DType::Float16 || t == DType::BFloat16; }

Type widened(Type t) {
  if (t.is_tensor() && narrow(t.dtype)) t.dtype = DType::Float64;
  if (t.element) t.element = std::make_shared<const Type>(widened(*t.element));
  return t;
}

// Integer attributes whose value is an element type.
bool names_dtype(std::string_view attribute) {
  return attribute == "to" || attribute == "dtype" || attribute == "stash_type" ||
         attribute == "output_dtype" || attribute == "output_datatype" ||
         attribute == "softmax_precision";
}

void widen_attribute(const std::string& name, AttributeValue& value) {
  if (Tensor* t = std::get_if<Tensor>(&value); t && narrow(t->dtype())) {
    *t = convert(*t, DType::Float64);
  } else if (int64_t* i = std::get_if<int64_t>(&value); i && names_dtype(name)) {
    if (*i > 0 && *i < dtype_count && narrow(static_cast<DType>(*i))) {
      *i = static_cast<int64_t>(DType::Float64);
    }
  } else if (Type* type = std::get_if<Type>(&value)) {
    *type = widened(*type);
  }
}

// Operators whose output is float where no `dtype` says otherwise.
bool float_without_dtype(std::string_view op) {
  return op == "SequenceEmpty" || op == "RandomNormal" || op == "RandomUniform";
}

// Defaults count too: a stash_type or dtype that is not written is float32, as is ConstantOfShape's
// zero. A stash_type says what the statistics come out as; where they do not, it stays the
// standard's.
void widen_node(Node& node) {
  Attributes attributes = attributes_of(node);
  for (const AttributeInfo& info : list_attributes(*node.op)) {
    if ((info.name == "stash_type" && node.outputs.size() > 1) ||
        (info.name == "dtype" && float_without_dtype(node.info->spec.name)) ||
        info.name == "output_datatype") {
      attributes.emplace(info.name, static_cast<int64_t>(DType::Float32));
    }
    if (info.name == "value" && node.info->spec.name == "ConstantOfShape") {
      attributes.emplace(info.name, Tensor::of<float>({1}, {0.0f}));
    }
  }
  for (auto& [name, value] : attributes) {
    if (name != "stash_type" || node.outputs.size() > 1) widen_attribute(name, value);
  }
  set_attributes(node, attributes);
}

// Whether the operator's specification has this parameter in float, but not in double.
bool stays_narrow(const OpSpec& spec, const std::vector<Param>& params, size_t i) {
  if (params.empty()) return false;
  std::string_view type = params[std::min(i, params.size() - 1)].type;
  for (const TypeConstraint& c : spec.types) {
    if (c.name == type) {
      return c.tensor.contains(DType::Float32) && !c.tensor.contains(DType::Float64);
    }
  }
  return false;
}

// Such inputs and outputs are cast around the node, which is appended to the graph.
void append_between_casts(Graph& graph, Node node) {
  GraphBuilder builder(graph);
  const OpSpec& spec = node.info->spec;
  auto cast_to = [](DType t) { return Attributes{{"to", static_cast<int64_t>(t)}}; };
  for (size_t i = 0; i < node.formal_inputs(); ++i) {
    ValueId& v = node.inputs[i];
    if (v == no_value || !stays_narrow(spec, spec.inputs, i)) continue;
    Type& type = graph.value(v).type;
    if (!type.is_tensor() || type.dtype != DType::Float64) continue;
    v = builder.add("Cast", {v}, cast_to(DType::Float32));
  }
  std::vector<std::pair<ValueId, ValueId>> widened_later;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    ValueId& v = node.outputs[i];
    if (v == no_value || !stays_narrow(spec, spec.outputs, i)) continue;
    ValueId wide = v;
    v = graph.add_value(graph.unique_name(graph.name_of(wide) + "::float"));
    widened_later.emplace_back(v, wide);
  }
  infer_node(graph, node);
  graph.nodes.push_back(std::move(node));
  for (auto [from, to] : widened_later) {
    builder.add("Cast", {from}, cast_to(DType::Float64));
    graph.nodes.back().outputs = {to};
    graph.value(to).type = graph.value(graph.nodes.back().inputs[0]).type;
    graph.value(to).type.dtype = DType::Float64;
  }
}

void widen_graph(Graph& graph) {
  for (ValueId v : graph.inputs) graph.value(v).type = widened(graph.value(v).type);
  for (auto& [id, init] : graph.initializers) {
    if (narrow(init.value.dtype())) init.value = convert(init.value, DType::Float64);
    graph.value(id).type = widened(graph.value(id).type);
  }
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    widen_node(node);
    for (Graph& body : node.bodies) widen_graph(body);
    append_between_casts(graph, std::move(node));
  }
}

}  // namespace

void widen_to_double(Graph& graph) {
  widen_graph(graph);
  infer(graph);
}

}  // namespace onnxrun
