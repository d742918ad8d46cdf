// Single elements of tensors as text.
#pragma once

#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace onnxrun {

// What the characters of a value can be read as, from the narrowest kind to the widest.
enum class TextKind { Bool, Integer, Real, Complex, Text };
// "true", "-3", "1e-4", "inf", "nan", "1+2j"; surrounding blanks do not count.
TextKind kind_of_text(std::string_view text);
// The type that holds values of this kind when nothing else decides: bool, int64, double,
// complex128 or string.
DType dtype_of_kind(TextKind kind);

// Sets element `index` of `t` to the value that `text` spells. Throws BadInput if it spells no
// value of that type or one out of its range. Floats round to nearest; bool takes true, false, 0
// and 1.
void set_element(Tensor& t, int64_t index, std::string_view text);

// A short text that reads back as the same element. Strings as they are.
std::string element_text(const Tensor& t, int64_t index);

}  // namespace onnxrun
