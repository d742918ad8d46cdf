#include "graph/infer_context.h"

#include <algorithm>

#include "base/limits.h"

namespace onnxrun {

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

// Lengths are of 64 bits, elements of the value's type: arithmetic of int32 wraps earlier.
static bool fits(const Dim& element, DType dtype) {
  return !element.is_known() || dtype != DType::Int32 ||
         element.value() == static_cast<int32_t>(element.value());
}

void InferContext::set_content(size_t i, std::vector<Dim> elements) {
  if (!has_output(i) || elements.size() > max_content) return;
  Value& value = graph_.value(node_.outputs[i]);
  bool fit = std::all_of(elements.begin(), elements.end(),
                         [&](const Dim& d) { return fits(d, value.type.dtype); });
  if (fit) value.content = std::move(elements);
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
