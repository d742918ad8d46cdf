// Writes values as .pb files: a bare TensorProto, SequenceProto, OptionalProto or MapProto, as the
// test data sets of ONNX keep them.
#pragma once

#include <string>

#include "graph/type.h"
#include "onnxrun/value.h"

namespace onnxrun {

// The message in wire form, without a name if `name` is empty. `type` says what an empty sequence
// or optional would hold. Throws CannotWrite for more than the 2 GiB of a protobuf message.
std::string write_value_bytes(const RuntimeValue& value, const std::string& name = {},
                              const Type& type = {});

}  // namespace onnxrun
