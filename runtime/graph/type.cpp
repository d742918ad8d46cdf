#include "graph/type.h"

#include <fmt/format.h>

#include <algorithm>

namespace onnxrun {

Type Type::tensor(DType dtype, std::optional<Shape> shape) {
  Type t;
  t.kind = Kind::Tensor;
  t.dtype = dtype;
  t.shape = std::move(shape);
  return t;
}

static Type container(Type::Kind kind, DType key, Type element) {
  Type t;
  t.kind = kind;
  t.dtype = key;
  t.element = std::make_shared<const Type>(std::move(element));
  return t;
}

Type Type::sequence(Type element) {
  return container(Kind::Sequence, DType::Undefined, std::move(element));
}
Type Type::optional(Type element) {
  return container(Kind::Optional, DType::Undefined, std::move(element));
}
Type Type::map(DType key, Type element) { return container(Kind::Map, key, std::move(element)); }

std::string Type::to_string() const {
  switch (kind) {
    case Kind::Unknown:
      return "unknown";
    case Kind::Tensor:
      return std::string(onnxrun::to_string(dtype)) + (shape ? onnxrun::to_string(*shape) : "");
    case Kind::Sequence:
      return fmt::format("seq({})", element->to_string());
    case Kind::Optional:
      return fmt::format("optional({})", element->to_string());
    case Kind::Map:
      return fmt::format("map({},{})", onnxrun::to_string(dtype), element->to_string());
  }
  return "";
}

bool identical(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.shape.has_value() != b.shape.has_value() ||
      (a.element == nullptr) != (b.element == nullptr)) {
    return false;
  }
  if (a.element && a.element != b.element && !identical(*a.element, *b.element)) return false;
  return !a.shape || std::equal(a.shape->begin(), a.shape->end(), b.shape->begin(), b.shape->end(),
                                [](const Dim& x, const Dim& y) { return identical(x, y); });
}

bool has_elements(const Type& type) {
  if (type.is_tensor()) return type.dtype != DType::Undefined;
  return type.is_known() && type.element && has_elements(*type.element);
}

bool same_elements(const Type& a, const Type& b) {
  if (!a.is_known() || !b.is_known()) return true;
  if (a.kind != b.kind) return false;
  if (a.dtype != b.dtype && a.dtype != DType::Undefined && b.dtype != DType::Undefined)
    return false;
  return !a.element || !b.element || same_elements(*a.element, *b.element);
}

bool compatible(const Type& a, const Type& b) {
  if (!same_elements(a, b)) return false;
  if (a.element && b.element && a.kind == b.kind) return compatible(*a.element, *b.element);
  if (!a.shape || !b.shape) return true;
  if (a.shape->size() != b.shape->size()) return false;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    const Dim &x = (*a.shape)[i], &y = (*b.shape)[i];
    if (x.is_known() && y.is_known() && x.value() != y.value()) return false;
  }
  return true;
}

static Dim more_definite(const Dim& a, const Dim& b) {
  if (a.is_known()) return a;
  if (b.is_known()) return b;
  return a.is_unknown() ? b : a;
}

Type refine(const Type& a, const Type& b) {
  if (!a.is_known()) return b;
  if (!b.is_known() || a.kind != b.kind) return a;
  Type r = a;
  if (a.element && b.element)
    r.element = std::make_shared<const Type>(refine(*a.element, *b.element));
  if (r.dtype == DType::Undefined) r.dtype = b.dtype;
  if (!a.shape) {
    r.shape = b.shape;
  } else if (b.shape && a.shape->size() == b.shape->size()) {
    for (size_t i = 0; i < a.shape->size(); ++i)
      (*r.shape)[i] = more_definite((*a.shape)[i], (*b.shape)[i]);
  }
  return r;
}

Type join(const Type& a, const Type& b) {
  if (!a.is_known()) return b;
  if (!b.is_known() || a.kind != b.kind) return a;
  Type r = a;
  if (a.element && b.element)
    r.element = std::make_shared<const Type>(join(*a.element, *b.element));
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) {
    r.shape.reset();
    return r;
  }
  for (size_t i = 0; i < a.shape->size(); ++i) {
    if (!((*a.shape)[i] == (*b.shape)[i])) (*r.shape)[i] = Dim();
  }
  return r;
}

}  // namespace onnxrun
