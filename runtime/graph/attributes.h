// Attributes of nodes, and the one declaration by which an operator reads, writes and documents
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/type.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Subgraph attributes are bodies of the node (graph.h), not attribute values.
using AttributeValue = std::variant<int64_t, float, std::string, Tensor, Type, std::vector<int64_t>,
                                    std::vector<float>, std::vector<std::string>,
                                    std::vector<Tensor>, std::vector<Type>>;
using Attributes = std::map<std::string, AttributeValue, std::less<>>;

// "3", "[1,2]", "'linear'", "float[2]{...}".
std::string to_string(const AttributeValue& value);
bool equal(const AttributeValue& a, const AttributeValue& b);

// What an operator passes each of its attributes to:
//     v.visit("axis", axis, "dimension that sums to one");
// `value` holds the default on the way in. An optional attribute without a default is a
// std::optional; one that every node must have is passed to required().
class AttributeVisitor {
 public:
  virtual ~AttributeVisitor() = default;

  template <typename T>
  void visit(std::string_view name, T& value, std::string_view doc) {
    field(name, value, doc, false);
  }
  template <typename T>
  void required(std::string_view name, T& value, std::string_view doc) {
    field(name, value, doc, true);
  }

 protected:
  // Said of an attribute whose integer names an element type, before it is passed on.
  virtual void element_type(std::string_view) {}
  // Reads into `value`, or takes it from there; an optional may be empty.
  virtual void attribute(std::string_view name, std::optional<AttributeValue>& value,
                         size_t alternative, std::string_view doc, bool required) = 0;

 private:
  template <typename T>
  static constexpr size_t alternative_of() {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, DType>) {
      return 0;
    } else {
      return AttributeValue(T{}).index();
    }
  }

  template <typename T>
  void field(std::string_view name, T& value, std::string_view doc, bool required) {
    std::optional<AttributeValue> any;
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, DType>) {
      any = static_cast<int64_t>(value);
    } else {
      any = value;
    }
    if constexpr (std::is_same_v<T, DType>) element_type(name);
    attribute(name, any, alternative_of<T>(), doc, required);
    if (!any) return;
    if constexpr (std::is_same_v<T, bool>) {
      value = std::get<int64_t>(*any) != 0;
    } else if constexpr (std::is_same_v<T, DType>) {
      value = checked_dtype(name, std::get<int64_t>(*any));
    } else {
      value = std::get<T>(*any);
    }
  }
  template <typename T>
  void field(std::string_view name, std::optional<T>& value, std::string_view doc, bool required) {
    std::optional<AttributeValue> any;
    if constexpr (std::is_same_v<T, DType>) {
      element_type(name);
      if (value) any = static_cast<int64_t>(*value);
      attribute(name, any, alternative_of<T>(), doc, required);
      if (any) value = checked_dtype(name, std::get<int64_t>(*any));
    } else {
      if (value) any = *value;
      attribute(name, any, alternative_of<T>(), doc, required);
      if (any) value = std::get<T>(*any);
    }
  }
  static DType checked_dtype(std::string_view name, int64_t value);
};

class Op;

// Sets the operator's attributes from `from`. Throws BadModel for a missing required attribute or
// one of the wrong kind, Unsupported for one that the operator does not read.
void read_attributes(Op& op, const Attributes& from);

// All attributes that are required or differ from those of `defaults`, an operator of the same
// class as OpInfo::make gives it.
Attributes write_attributes(const Op& op, const Op& defaults);

struct AttributeInfo {
  std::string name;
  std::string doc;
  size_t alternative;  // index of AttributeValue
  bool required;
  bool element_type;                    // an integer that names one
  std::optional<AttributeValue> value;  // as it stands, defaults included
};
std::vector<AttributeInfo> list_attributes(const Op& op);

}  // namespace onnxrun
