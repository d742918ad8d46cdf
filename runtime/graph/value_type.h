// The door between values and types: what comes in from outside, or crosses the border of a body,
// is what the graph was planned for, or an error.
#pragma once

#include <string_view>

#include "graph/type.h"
#include "onnxrun/value.h"

namespace onnxrun {

// What a value is. The elements of a container are joined to one type; throws BadInput where they
// have none in common. Nothing at all is Unknown.
Type type_of(const RuntimeValue& value);

// The type to plan `value` with where `declared` stands: a tensor's is concrete, a container's has
// its element types. An optional may be given as its element or not at all. Throws BadInput, naming
// the value by `name`, if kind, element type, rank, a known length or anything inside a container
// contradicts what is declared. Linear in the number of elements.
Type admit(const RuntimeValue& value, const Type& declared, std::string_view name);

// A look without going through elements: whether kind and, of a tensor, element type are right.
bool looks_like(const RuntimeValue& value, const Type& declared);

}  // namespace onnxrun
