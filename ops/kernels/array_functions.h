// The functions of element_function.h over arrays, vectorised for the processor the program runs
// on.
#pragma once

#include <cstdint>

#include "graph/element_function.h"

namespace onnxrun {

// out[i] = f(operands[0][i], ...) for i in [0, n). Bit k of `repeated` says that operand k is one
// element that stands for all of them. Numbers are of the type that the function was asked for,
// truth values bool. out may be an operand that is not repeated. An element's result depends on its
// operands alone: one rounding for arithmetic, vector_math.h's for elementary functions, NaN as the
// operators have it.
using ArrayFunction = void (*)(const void* const* operands, unsigned repeated, void* out,
                               int64_t n);

// For T float or double. Thread-safe.
template <typename T>
ArrayFunction array_function(ElementFunction f);
template <>
ArrayFunction array_function<float>(ElementFunction f);
template <>
ArrayFunction array_function<double>(ElementFunction f);

}  // namespace onnxrun
