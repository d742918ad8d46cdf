// Reads values from .pb files: a bare TensorProto, SequenceProto, OptionalProto or MapProto, as the
// test data sets of ONNX keep them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/type.h"
#include "onnxrun/value.h"

namespace onnxrun {

// The messages do not say what they are, so `expected` decides; an unknown type means a tensor.
// Shapes are not compared, nor is a tensor's element type. Throws BadInput for damaged data; Limit
// if more than `max_memory` bytes are needed (0: what the machine has).
RuntimeValue read_value_bytes(std::string_view bytes, const Type& expected, int64_t max_memory = 0);

// The same from a file; throws BadInput if it cannot be read.
RuntimeValue read_value_file(const std::string& path, const Type& expected, int64_t max_memory = 0);

// The name inside a bare TensorProto (the same for the other messages); "" if it has none.
std::string read_value_name(std::string_view bytes, const Type& expected);

}  // namespace onnxrun
