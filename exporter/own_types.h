// Element types that operators have here and the standard does not give them.
#pragma once

#include <string_view>

#include "graph/registry.h"
#include "onnxrun/dtype.h"

namespace onnxrun {

// Whether the operator's type parameter ("T1") takes this floating-point type in this library
// alone: no other runtime, and not the checker, takes a file with it.
bool is_own_type(const OpSpec& spec, std::string_view parameter, DType type);

}  // namespace onnxrun
