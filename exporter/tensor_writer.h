// Writes values as .pb files: a bare TensorProto, SequenceProto, OptionalProto or MapProto, as the
// test data sets of ONNX keep them.
#pragma once

#include <string>

#include "graph/type.h"
#include "tensor/runtime_value.h"

namespace onnxrun {

// The message in wire form. `type` says what an empty sequence or optional would hold.
std::string write_value_bytes(const RuntimeValue& value, const std::string& name = {},
                              const Type& type = {});

}  // namespace onnxrun
