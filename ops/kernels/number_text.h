// Numbers as text and back, for casts to and from strings.
#pragma once

#include "tensor/tensor.h"

namespace onnxrun {

// Each number as NumPy prints it: the fewest digits that read back as the same value ("0.1",
// "1e-05", "1e+16", "nan", "-inf"), integers in decimal, "True" and "False". `to` holds as many
// strings.
void print_numbers(const Tensor& from, Tensor& to);

// Reads numbers: decimal or scientific, "INF", "+INF", "-INF" and "NaN" in any case, "True" and
// "False", with blanks around them. Numbers with a fraction are truncated for integer types. Throws
// BadInput for text that is no number.
void parse_numbers(const Tensor& from, Tensor& to, const ConvertOptions& options);

}  // namespace onnxrun
