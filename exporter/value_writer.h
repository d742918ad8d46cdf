// Values as the .pb files that hold test data of ONNX.
#pragma once

#include <string>

#include "tensor/runtime_value.h"

namespace onnxrun {

// The bytes of a TensorProto, SequenceProto or OptionalProto. Throws Unsupported for maps.
std::string write_value_bytes(const std::string& name, const RuntimeValue& value);

}  // namespace onnxrun
