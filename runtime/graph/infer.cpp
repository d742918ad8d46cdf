#include "base/work.h"
#include "graph/infer_context.h"

namespace onnxrun {

namespace {

// The tensors in a sequence or an optional are of one of these types, as far as that is known.
bool holds_one_of(const Type& type, DTypeSet allowed) {
  if (!type.element) return true;
  if (!type.element->is_tensor()) return holds_one_of(*type.element, allowed);
  return type.element->dtype == DType::Undefined || allowed.contains(type.element->dtype);
}

bool fits(const TypeConstraint& constraint, const Type& type) {
  switch (type.kind) {
    case Type::Kind::Unknown:
      return true;
    case Type::Kind::Tensor:
      return type.dtype == DType::Undefined || constraint.tensor.contains(type.dtype);
    case Type::Kind::Sequence:
      return !constraint.sequence.empty() && holds_one_of(type, constraint.sequence);
    case Type::Kind::Optional:
      return !constraint.optional.empty() && holds_one_of(type, constraint.optional);
    case Type::Kind::Map:
      return constraint.map;
  }
  return false;
}

std::string allowed_text(const TypeConstraint& c) {
  std::string text = to_string(c.tensor);
  if (!c.sequence.empty()) text += (text.empty() ? "" : ", ") + std::string("sequences");
  if (!c.optional.empty()) text += (text.empty() ? "" : ", ") + std::string("optionals");
  return text;
}

// Holds each type variable to one type over all inputs that use it.
class TypeCheck {
 public:
  TypeCheck(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  void run() {
    const OpSpec& spec = node_.info->spec;
    size_t count = node_.formal_inputs();
    size_t at = 0;
    for (const Param& param : spec.inputs) {
      if (param.kind == Param::Kind::Variadic) {
        // Omitted inputs before one that may be empty leave no trace.
        if (param.min_count > 0 && count < at + static_cast<size_t>(param.min_count)) {
          fail(ErrorKind::BadModel, "{} inputs given, at least {} expected", count,
               at + static_cast<size_t>(param.min_count));
        }
        for (; at < count; ++at) {
          if (node_.inputs[at] == no_value) missing(param, at);
          check(param, at, !param.homogeneous);
        }
        return;
      }
      bool there = at < count && node_.inputs[at] != no_value;
      if (!there && param.kind == Param::Kind::Single) missing(param, at);
      if (there) check(param, at, false);
      ++at;
    }
    if (count > at) fail(ErrorKind::BadModel, "{} inputs given, at most {} expected", count, at);
  }

 private:
  [[noreturn]] static void missing(const Param& param, size_t at) {
    fail(ErrorKind::BadModel, "required input {} '{}' is missing", at, param.name);
  }

  void check(const Param& param, size_t at, bool alone) {
    const Value& value = graph_.value(node_.inputs[at]);
    const TypeConstraint* constraint = find_constraint(param.type);
    if (!fits(*constraint, value.type)) {
      fail(ErrorKind::Unsupported, "input '{}' ('{}') is {}, allowed: {}", param.name, value.name,
           value.type.to_string(), allowed_text(*constraint));
    }
    if (alone || !value.type.is_known()) return;
    auto [it, first] = bound_.emplace(param.type, &value);
    if (!first && !same_elements(it->second->type, value.type)) {
      fail(ErrorKind::BadModel, "input '{}' ('{}') is {}, but '{}' is {}; they must have one type",
           param.name, value.name, value.type.to_string(), it->second->name,
           it->second->type.to_string());
    }
  }

  const TypeConstraint* find_constraint(std::string_view name) const {
    for (const TypeConstraint& c : node_.info->spec.types) {
      if (c.name == name) return &c;
    }
    fail(ErrorKind::Internal, "type variable '{}' is not declared", name);
  }

  const Graph& graph_;
  const Node& node_;
  std::map<std::string_view, const Value*> bound_;
};

void check_outputs(const Node& node) {
  const auto& params = node.info->spec.outputs;
  bool variadic = !params.empty() && params.back().kind == Param::Kind::Variadic;
  if (!variadic && node.outputs.size() > params.size()) {
    fail(ErrorKind::BadModel, "{} outputs asked for, at most {} are there", node.outputs.size(),
         params.size());
  }
  if (node.bodies.size() != node.info->spec.bodies.size()) {
    fail(ErrorKind::BadModel, "{} subgraphs given, {} expected", node.bodies.size(),
         node.info->spec.bodies.size());
  }
}

}  // namespace

void check_input_types(const Graph& graph, const Node& node) { TypeCheck(graph, node).run(); }

void infer_node(Graph& graph, Node& node, bool settling) {
  check_work();
  try {
    check_input_types(graph, node);
    check_outputs(node);
    InferContext context(graph, node, {}, settling);
    node.op->infer(context);
  } catch (const Error& e) {
    throw e.in(frame_of(graph, node));
  }
}

void infer(Graph& graph) {
  for (Node& node : graph.nodes) infer_node(graph, node);
}

}  // namespace onnxrun
