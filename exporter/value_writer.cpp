#include "value_writer.h"

#include <onnx/onnx-data_pb.h>

#include <bit>

#include "base/error.h"

namespace onnxrun {

namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

onnx::TensorProto tensor_proto(const std::string& name, const Tensor& t) {
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(static_cast<int32_t>(t.dtype()));
  for (int64_t d : t.dims()) proto.add_dims(d);
  if (t.dtype() == DType::String) {
    for (const std::string& s : t.span<std::string>()) proto.add_string_data(s);
  } else {
    proto.set_raw_data(t.raw(), static_cast<size_t>(t.bytes()));
  }
  return proto;
}

onnx::SequenceProto sequence_proto(const std::string& name, const RuntimeValue& value) {
  onnx::SequenceProto proto;
  proto.set_name(name);
  proto.set_elem_type(onnx::SequenceProto::TENSOR);
  for (const RuntimeValue& item : *value.items) {
    if (item.is_tensor()) {
      *proto.add_tensor_values() = tensor_proto("", item.tensor);
    } else if (item.kind == RuntimeValue::Kind::Sequence) {
      proto.set_elem_type(onnx::SequenceProto::SEQUENCE);
      *proto.add_sequence_values() = sequence_proto("", item);
    } else {
      fail(ErrorKind::Unsupported,
           "'{}' is a sequence of maps or optionals, which .pb files do not "
           "hold here",
           name);
    }
  }
  return proto;
}

onnx::OptionalProto optional_proto(const std::string& name, const RuntimeValue& value) {
  onnx::OptionalProto proto;
  proto.set_name(name);
  if (value.items->empty()) {
    proto.set_elem_type(onnx::OptionalProto::UNDEFINED);
    return proto;
  }
  const RuntimeValue& item = value.items->front();
  if (item.is_tensor()) {
    proto.set_elem_type(onnx::OptionalProto::TENSOR);
    *proto.mutable_tensor_value() = tensor_proto("", item.tensor);
  } else {
    proto.set_elem_type(onnx::OptionalProto::SEQUENCE);
    *proto.mutable_sequence_value() = sequence_proto("", item);
  }
  return proto;
}

}  // namespace

std::string write_value_bytes(const std::string& name, const RuntimeValue& value) {
  switch (value.kind) {
    case RuntimeValue::Kind::Tensor:
      return tensor_proto(name, value.tensor).SerializeAsString();
    case RuntimeValue::Kind::Sequence:
      return sequence_proto(name, value).SerializeAsString();
    case RuntimeValue::Kind::Optional:
      return optional_proto(name, value).SerializeAsString();
    default:
      fail(ErrorKind::Unsupported, "'{}' is no tensor, sequence or optional", name);
  }
}

}  // namespace onnxrun
