#include "passes/widen.h"

#include "base/error.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

bool narrow(DType t) { return t == DType::Float32 || t == DType::Float16 || t == DType::BFloat16; }

Type widened(Type t) {
  if (t.is_tensor() && narrow(t.dtype)) t.dtype = DType::Float64;
  if (t.element) t.element = std::make_shared<const Type>(widened(*t.element));
  return t;
}

void widen_value(AttributeValue& value, bool element_type) {
  if (Tensor* t = std::get_if<Tensor>(&value); t && narrow(t->dtype())) {
    *t = convert(*t, DType::Float64);
  } else if (int64_t* i = std::get_if<int64_t>(&value); i && element_type) {
    if (narrow(static_cast<DType>(*i))) *i = static_cast<int64_t>(DType::Float64);
  } else if (Type* type = std::get_if<Type>(&value)) {
    *type = widened(*type);
  }
}

// Defaults count, too: an element type that is not written may be float32.
void widen_node(Node& node) {
  Attributes attributes = attributes_of(node);
  for (const AttributeInfo& info : list_attributes(*node.op)) {
    bool is_type = info.element_type && node.op->types_an_output(info.name, node);
    if (!info.value) continue;
    AttributeValue value = *info.value;
    widen_value(value, is_type);
    if (!equal(value, *info.value)) attributes[info.name] = std::move(value);
  }
  set_attributes(node, attributes);
}

void widen_graph(Graph& graph) {
  for (ValueId v : graph.inputs) graph.value(v).type = widened(graph.value(v).type);
  for (auto& [id, init] : graph.initializers) {
    if (narrow(init.value.dtype())) init.value = convert(init.value, DType::Float64);
    graph.value(id).type = widened(graph.value(id).type);
  }
  for (Node& node : graph.nodes) {
    widen_node(node);
    for (Graph& body : node.bodies) widen_graph(body);
  }
}

}  // namespace

void widen_to_double(Graph& graph) {
  widen_graph(graph);
  infer(graph);
}

}  // namespace onnxrun
