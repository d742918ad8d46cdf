// Tensors, types and attributes as messages of ONNX.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "graph/attributes.h"
#include "graph/type.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Elements go to raw_data, strings to string_data.
onnx::TensorProto write_tensor(const Tensor& tensor, const std::string& name = {});

// What is unknown is left out.
onnx::TypeProto write_type(const Type& type);

onnx::AttributeProto write_attribute(const std::string& name, const AttributeValue& value);

// Of ValueInfoProto, whose metadata the installed classes may not know.
inline constexpr int value_info_metadata = 4;

// Appends a repeated StringStringEntryProto field by its number, known to the installed classes or
// not.
void write_metadata(google::protobuf::Message& message, int number,
                    const std::map<std::string, std::string>& metadata);

}  // namespace onnxrun
