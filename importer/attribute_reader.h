// AttributeProto -> AttributeValue.
#pragma once

#include <onnx/onnx_pb.h>

#include "graph/attributes.h"
#include "tensor_decoder.h"

namespace onnxrun {

// The kind of an attribute; files of the first IR versions leave it to be seen from what is set.
onnx::AttributeProto::AttributeType kind_of(const onnx::AttributeProto& proto);

// Sparse tensors become dense. Subgraphs are no values: Unsupported.
AttributeValue read_attribute(const onnx::AttributeProto& proto, const TensorDecoder& decoder);

}  // namespace onnxrun
