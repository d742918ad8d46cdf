#include <algorithm>

#include "base/limits.h"
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

const Tensor* InferContext::constant(size_t i) const {
  if (!has_input(i)) return nullptr;
  if (i < values_.size() && values_[i])
    return values_[i]->is_tensor() ? &values_[i]->tensor : nullptr;
  return graph_.constant(node_.inputs[i]);
}

std::optional<std::vector<int64_t>> InferContext::ints(size_t i) const {
  constexpr int64_t most = 1 << 20;  // more are no lengths, axes or positions
  if (const Tensor* t = constant(i); t && is_integer(t->dtype()) && t->size() <= most)
    return to_int64s(*t);
  auto elements = content(i);
  if (elements && all_known(*elements)) return to_dims(*elements);
  return std::nullopt;
}

std::optional<std::vector<Dim>> InferContext::content(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  if (i < values_.size() && values_[i]) {
    const Tensor& t = values_[i]->tensor;
    if (!dtypes::index.contains(t.dtype()) || t.rank() > 1) return std::nullopt;
    std::vector<int64_t> elements = to_int64s(t);
    return Shape(elements.begin(), elements.end());
  }
  return graph_.value(node_.inputs[i]).content;
}

void InferContext::set_output(size_t i, Type type) {
  if (!has_output(i)) return;
  if (type.shape) check_rank(type.shape->size());
  Value& value = graph_.value(node_.outputs[i]);
  value.type = std::move(type);
  value.content.reset();
}

// Lists of lengths are short; what is longer than this is data.
static constexpr size_t max_content = 1024;

void InferContext::set_content(size_t i, std::vector<Dim> elements) {
  if (has_output(i) && elements.size() <= max_content)
    graph_.value(node_.outputs[i]).content = std::move(elements);
}

std::vector<Type> InferContext::infer_body(size_t k, const std::vector<Type>& formal,
                                           bool settling) {
  Graph& body = node_.bodies[k];
  size_t captures = static_cast<size_t>(node_.captures);
  if (body.inputs.size() != formal.size() + captures) {
    reject("subgraph '{}' has {} inputs, expected {}", node_.info->spec.bodies[k],
           body.inputs.size() - std::min(captures, body.inputs.size()), formal.size());
  }
  for (size_t i = 0; i < formal.size(); ++i) {
    Value& input = body.value(body.inputs[i]);
    if (!same_elements(input.type, formal[i])) {
      reject("subgraph input '{}' is declared {}, but gets {}", input.name, input.type.to_string(),
             formal[i].to_string());
    }
    input.type = formal[i];
    input.content.reset();
  }
  for (size_t i = 0; i < captures; ++i) {
    const Value& outer = graph_.value(node_.inputs[node_.formal_inputs() + i]);
    Value& inner = body.value(body.inputs[formal.size() + i]);
    inner.type = outer.type;
    inner.content = outer.content;
  }
  for (Node& node : body.nodes) infer_node(body, node, settling);
  std::vector<Type> types;
  for (ValueId v : body.outputs) types.push_back(body.value(v).type);
  return types;
}

// A body inside another one that settles is inferred again and again. It goes on from the types it
// settled on before, which those to come can only widen: starting anew at every level would double
// the work with each.
std::vector<Type> InferContext::settle_body(size_t k, std::vector<Type>& formal, size_t before,
                                            size_t states, size_t first_output) {
  const Graph& body = node_.bodies[k];
  if (settling_ && body.inputs.size() >= formal.size()) {
    for (size_t i = before; i < before + states; ++i) {
      const Type& settled = body.value(body.inputs[i]).type;
      if (same_elements(formal[i], settled)) formal[i] = join(formal[i], settled);
    }
  }
  for (bool again = settling_;; again = true) {
    std::vector<Type> outputs = infer_body(k, formal, again);
    if (outputs.size() < first_output + states)
      return outputs;  // the caller says how many it wants
    bool stable = true;
    for (size_t i = 0; i < states; ++i) {
      Type &state = formal[before + i], &next = outputs[first_output + i];
      if (!same_elements(state, next)) {
        reject("state {} is {} and becomes {}", i, state.to_string(), next.to_string());
      }
      // Types that join only lose dimensions, so this ends.
      Type joined = join(state, next);
      stable &= identical(joined, state);
      state = std::move(joined);
    }
    if (stable) return outputs;
  }
}

void InferContext::require_one(const Type& type, DType dtype, std::string_view what) const {
  bool tensor = !type.is_known() ||
                (type.is_tensor() && (type.dtype == DType::Undefined || type.dtype == dtype));
  bool one = !type.shape || std::all_of(type.shape->begin(), type.shape->end(), [](const Dim& d) {
    return !d.is_known() || d.value() == 1;
  });
  if (!tensor || !one) {
    reject("{} is {}, expected one {}", what, type.to_string(), onnxrun::to_string(dtype));
  }
}

std::string InferContext::describe_input(size_t i) const {
  const auto& params = node_.info->spec.inputs;
  std::string_view name = i < params.size() ? params[i].name : params.back().name;
  const Value& value = graph_.value(node_.inputs[i]);
  return fmt::format("{} '{}' is {}", name, value.name, value.type.to_string());
}

void infer_same(InferContext& c) { c.set_output(0, c.type(0)); }

void infer_broadcast(InferContext& c, DType dtype) {
  std::optional<Shape> shape = Shape{};
  for (size_t i = 0; i < c.num_inputs(); ++i) {
    if (!c.has_input(i)) continue;
    if (!c.shape(i)) {
      shape.reset();
      break;
    }
    try {
      shape = broadcast(*shape, *c.shape(i));
    } catch (const Error&) {
      if (c.num_inputs() == 2) {
        c.reject("shapes do not broadcast: {}, {}", c.describe_input(0), c.describe_input(1));
      }
      throw;
    }
  }
  c.set_output(0, dtype, std::move(shape));
}

}  // namespace onnxrun
