// Arrays written out in an argument: [[0,1],[1,0]], 0.5, true, f64:[1,2], ["a","b"].
#pragma once

#include <string_view>

#include "tensor/tensor.h"

namespace onnxrun {

// True if `text` is meant as an array and not as the name of a file: a bracket, a quote or a type's
// name with a colon begins it, or it is a number, true or false.
bool is_inline(std::string_view text);

// The array that `text` spells. A type in front ("f64:[1,2]", any name of dtype_from_name) decides
// the element type, else `dtype` does (the model's input), else (Undefined) the values do: bool,
// int64, double or string. Lists of one depth must have one length; an empty list is an axis of
// length 0. Strings may stand in double or single quotes, with JSON's escapes, or bare where a
// string is wanted. Throws BadInput with the position: text that is no array, ragged lists, values
// out of range.
Tensor parse_inline(std::string_view text, DType dtype = DType::Undefined);

}  // namespace onnxrun
