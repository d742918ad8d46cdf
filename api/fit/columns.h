// Inputs from the columns of tables.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "graph/type.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// One array of [rows, columns], or [rows] of one, from the arrays that "a,b,c" names; nothing if
// `key` is no such list. Throws BadInput naming an array that is not there, or that is no column of
// numbers.
std::optional<NamedTensor> listed_columns(const NamedTensors& arrays, const std::string& key);

// For the one input that no array is called like: all columns of numbers but those in `taken`, if
// there are any, in their order; the name lists them. Throws BadInput if the input, of this type,
// takes another number of them.
std::optional<NamedTensor> all_columns(const NamedTensors& arrays,
                                       const std::set<std::string>& taken, const std::string& input,
                                       const Type& type);

}  // namespace onnxrun
