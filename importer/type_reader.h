// TypeProto -> Type.
#pragma once

#include <onnx/onnx_pb.h>

#include "graph/type.h"

namespace onnxrun {

// The element type with this number of TensorProto.DataType; throws Unsupported for one that is not
// known and for Undefined.
DType read_dtype(int32_t number);

// Unknown if nothing is said. Throws BadModel for a negative length, Unsupported for sparse and
// opaque types.
Type read_type(const onnx::TypeProto& proto);
// The same; errors name the value.
Type read_type(const onnx::ValueInfoProto& info);

}  // namespace onnxrun
