// All operators of this library.
#pragma once

#include "graph/registry.h"

namespace onnxrun {

// Every operator in this folder, registered on first use; lives as long as the program.
// Thread-safe.
const OpRegistry& builtin_ops();

}  // namespace onnxrun
