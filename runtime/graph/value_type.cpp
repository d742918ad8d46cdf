#include "graph/value_type.h"

#include "base/error.h"

namespace onnxrun {

namespace {

Type element_type(const RuntimeValue& container) {
  Type joined;
  for (const RuntimeValue& item : container.elements()) {
    Type type = type_of(item);
    if (!same_elements(joined, type)) {
      fail(ErrorKind::BadInput, "{} holds {} and {}; its elements must have one type",
           describe(container), joined.to_string(), type.to_string());
    }
    joined = join(joined, type);
  }
  return joined;
}

// The kind that a declared container has at run time.
RuntimeValue::Kind kind_of(Type::Kind kind) {
  switch (kind) {
    case Type::Kind::Tensor:
      return RuntimeValue::Kind::Tensor;
    case Type::Kind::Sequence:
      return RuntimeValue::Kind::Sequence;
    case Type::Kind::Optional:
      return RuntimeValue::Kind::Optional;
    case Type::Kind::Map:
      return RuntimeValue::Kind::Map;
    case Type::Kind::Unknown:
      break;
  }
  return RuntimeValue::Kind::None;
}

// Empty, or what is wrong with the value.
std::string contradiction(const RuntimeValue& value, const Type& declared) {
  if (!declared.is_known()) return "";
  bool optional = declared.kind == Type::Kind::Optional;
  if (optional && value.kind == RuntimeValue::Kind::None) return "";
  if (optional && value.kind != RuntimeValue::Kind::Optional) {
    return declared.element ? contradiction(value, *declared.element) : "";
  }
  if (value.kind != kind_of(declared.kind)) return "got " + describe(value);
  if (value.is_tensor()) {
    bool fits = value.tensor.defined() && compatible(declared, type_of(value));
    return fits ? "" : "got " + (value.tensor.defined() ? describe(value) : "no tensor");
  }
  if (declared.kind == Type::Kind::Map && declared.dtype != DType::Undefined &&
      value.tensor.dtype() != declared.dtype) {
    return "got a map from " + std::string(to_string(value.tensor.dtype()));
  }
  const Type unknown, &element = declared.element ? *declared.element : unknown;
  for (size_t k = 0; k < value.elements().size(); ++k) {
    std::string inside = contradiction(value.elements()[k], element);
    if (inside.empty()) continue;
    return fmt::format("element {} of {}: {}", k, describe(value), inside);
  }
  return "";
}

}  // namespace

Type type_of(const RuntimeValue& value) {
  switch (value.kind) {
    case RuntimeValue::Kind::None:
      return Type();
    case RuntimeValue::Kind::Tensor:
      if (!value.tensor.defined()) return Type();
      return Type::tensor(value.tensor.dtype(), to_shape(value.tensor.dims()));
    case RuntimeValue::Kind::Sequence:
      return Type::sequence(element_type(value));
    case RuntimeValue::Kind::Optional:
      return Type::optional(element_type(value));
    case RuntimeValue::Kind::Map:
      return Type::map(value.tensor.dtype(), element_type(value));
  }
  return Type();
}

Type admit(const RuntimeValue& value, const Type& declared, std::string_view name) {
  std::string wrong = contradiction(value, declared);
  if (!wrong.empty()) {
    throw Error(ErrorKind::BadInput, fmt::format("is {}, {}", declared.to_string(), wrong))
        .in(ErrorFrame{ErrorFrame::Kind::Input, std::string(name)});
  }
  if (value.kind == RuntimeValue::Kind::None) return declared;
  if (value.is_tensor()) return type_of(value);
  bool as_declared = value.kind == kind_of(declared.kind);
  if (as_declared && has_elements(declared)) return declared;
  try {
    Type given = type_of(value);
    return as_declared ? refine(declared, given) : given;
  } catch (const Error& e) {
    throw Error(e.kind(), fmt::format("is no {}: {}", declared.to_string(), e.message()))
        .in(ErrorFrame{ErrorFrame::Kind::Input, std::string(name)});
  }
}

bool looks_like(const RuntimeValue& value, const Type& declared) {
  if (!declared.is_known()) return true;
  if (declared.kind == Type::Kind::Optional) return true;
  if (value.kind != kind_of(declared.kind)) return false;
  return !value.is_tensor() || declared.dtype == DType::Undefined ||
         value.tensor.dtype() == declared.dtype;
}

}  // namespace onnxrun
