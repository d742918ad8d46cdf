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

// Integer attributes whose value is an element type.
bool names_dtype(std::string_view attribute) {
  return attribute == "to" || attribute == "dtype" || attribute == "stash_type" ||
         attribute == "output_dtype";
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

// Defaults count too: a stash_type or dtype that is not written is float32, as is ConstantOfShape's
// zero. A stash_type says what the statistics come out as; where they do not, it stays the
// standard's.
void widen_node(Node& node) {
  Attributes attributes = attributes_of(node);
  for (const AttributeInfo& info : list_attributes(*node.op)) {
    if ((info.name == "stash_type" && node.outputs.size() > 1) ||
        (info.name == "dtype" && node.info->spec.name == "SequenceEmpty")) {
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
