// Types of graph values.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/shape.h"

namespace onnxrun {

// The type of a value: a tensor, a sequence, an optional or a map; Unknown until inference has run.
// A tensor's shape may be absent (unknown rank), and its dimensions symbolic or unknown.
struct Type {
  enum class Kind : uint8_t { Unknown, Tensor, Sequence, Optional, Map };

  Kind kind = Kind::Unknown;
  DType dtype = DType::Undefined;       // element type of a tensor, key type of a map
  std::optional<Shape> shape;           // of a tensor
  std::shared_ptr<const Type> element;  // of a sequence, an optional, a map's values

  static Type tensor(DType dtype, std::optional<Shape> shape = std::nullopt);
  static Type sequence(Type element);
  static Type optional(Type element);
  static Type map(DType key, Type element);

  bool is_tensor() const { return kind == Kind::Tensor; }
  bool is_known() const { return kind != Kind::Unknown; }
  bool has_shape() const { return shape.has_value(); }
  // -1 if unknown.
  int64_t rank() const { return shape ? static_cast<int64_t>(shape->size()) : -1; }
  // A tensor all of whose lengths are known.
  bool is_concrete() const { return is_tensor() && shape && all_known(*shape); }

  // "float[batch,3]", "float" (unknown rank), "seq(float[?])", "optional(...)", "map(int64,float)".
  std::string to_string() const;
};

// True if both say exactly the same.
bool identical(const Type& a, const Type& b);

// True if the element types of what the type describes are known, however deep it is nested.
bool has_elements(const Type& type);

// True if kinds, element types, ranks and known lengths do not contradict each other.
bool compatible(const Type& a, const Type& b);

// True if `a` and `b` agree in kind and element types; shapes do not matter.
bool same_elements(const Type& a, const Type& b);

// What both types say of a value: kinds and element types must agree; of each dimension the more
// definite statement, a's where both are symbolic.
Type refine(const Type& a, const Type& b);

// A type that covers both (what a value that is one or the other has): dimensions that differ
// become unknown, ranks that differ an unknown rank.
Type join(const Type& a, const Type& b);

}  // namespace onnxrun
